"""A scratch record for a real server: nurses who are signed in, visits that run.

    python -m tests.trust.seed NURSES VISITS

migrates the database of the environment, fills it and prints what is there as JSON.
"""

import json
import os
import sys
from datetime import datetime, timedelta

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ivig_clinic.settings")
django.setup()

from django.contrib.sessions.backends.db import SessionStore  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.utils import timezone  # noqa: E402

from sessions.middleware import LAST_SEEN, SECOND_FACTOR, SIGNED_IN_AT  # noqa: E402
from sessions.models import Chair, Clinic, User, VitalSigns  # noqa: E402
from tests.conftest import make_user  # noqa: E402
from tests.factories.infusions import make_running  # noqa: E402


def main(nurses: int, visits: int) -> None:
    call_command("migrate", verbosity=0)
    now = timezone.now()
    clinic = Clinic.objects.create(name="Riverside Infusion", code="riverside")
    staff = [
        make_user(clinic, "nurse", f"nurse{each}", f"Nurse {each}", credential="RN")
        for each in range(nurses)
    ]
    prescriber = make_user(clinic, "prescriber", "prescriber", "Ingrid Halvorsen")
    made = []
    for number in range(visits):
        chair = f"{number:03}"
        Chair.objects.create(clinic=clinic, name=chair, position=number)
        visit = make_running(
            clinic, staff[0], prescriber, at=now - timedelta(minutes=60), chair=chair
        )
        made.append(visit.pk)
    found = {
        "nurses": [signed_in(nurse, now - timedelta(minutes=5)) for nurse in staff],
        "visits": made,
        "last_vitals": VitalSigns.objects.order_by("-pk")[0].pk,
        "patient": visit.patient_id,
        "family_name": visit.patient.family_name,
    }
    sys.stdout.write(json.dumps(found))


def signed_in(user: User, seen: datetime) -> str:
    """The key of a login, made as signing in makes it, without its password.

    It was last used a while ago, so that its next request, a read too, writes that.
    """
    login = SessionStore()
    login["_auth_user_id"] = str(user.pk)
    login["_auth_user_backend"] = "sessions.access.StaffBackend"
    login["_auth_user_hash"] = user.get_session_auth_hash()
    login[SIGNED_IN_AT] = login[LAST_SEEN] = seen.isoformat()
    login[SECOND_FACTOR] = True
    login.save()
    return login.session_key


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
