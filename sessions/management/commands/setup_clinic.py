"""Set up the first clinic of a server without a browser."""

import os
from getpass import getpass

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from sessions.forms.clinics import SetUpForm
from sessions.models import LabelRegion
from sessions.services.acts import Actor, Refused
from sessions.services.clinics import set_up_clinic

FROM_ENVIRONMENT = "IVIG_ADMIN_PASSWORD"


class Command(BaseCommand):
    help = (
        "Set up the first clinic: its chairs and its first admin. The admin's password "
        f"is read from {FROM_ENVIRONMENT}, or asked for."
    )

    def add_arguments(self, parser) -> None:
        parser.add_argument("--name", required=True, help="name of the clinic")
        parser.add_argument("--time-zone", required=True, help="such as Europe/Dublin")
        parser.add_argument("--label-region", required=True, choices=LabelRegion.values)
        parser.add_argument(
            "--language",
            default="",
            choices=[code for code, _name in settings.LANGUAGES],
            help="of the record; English if it is not given",
        )
        parser.add_argument("--chairs", required=True, help="how many, 1 to 200")
        parser.add_argument("--admin-name", required=True, help="the admin's full name")
        parser.add_argument("--username", required=True, help="the admin signs in with")

    def handle(self, *args, **options) -> None:
        names = (
            "name",
            "time_zone",
            "label_region",
            "language",
            "chairs",
            "admin_name",
            "username",
        )
        given = {name: options[name] for name in names}
        password = os.environ.get(FROM_ENVIRONMENT) or getpass(
            "Password of the admin: "
        )
        form = SetUpForm({**given, "password": password, "again": password})
        if not form.is_valid():
            raise CommandError(_faults(form))
        values = {k: v for k, v in form.cleaned_data.items() if k != "again"}
        by = Actor.of(
            user=None, clinic=None, at=timezone.now(), workstation="setup_clinic"
        )
        try:
            clinic, _ = set_up_clinic(**values, by=by)
        except Refused as refused:
            raise CommandError(refused.message) from refused
        self.stdout.write(f"{clinic.name} is set up; sign in as {values['username']}.")


def _faults(form: SetUpForm) -> str:
    return "; ".join(
        f"--{name.replace('_', '-')}: {' '.join(map(str, messages))}"
        for name, messages in form.errors.items()
    )
