"""The session page: one visit at the chair."""

import pytest

from tests.factories.infusions import make_running
from tests.factories.moments import ago

pytestmark = pytest.mark.django_db


def test_it_shows(clinic, nurse, prescriber, sign_in):
    session = make_running(clinic, nurse, prescriber, at=ago(16))

    page = sign_in(nurse).get(f"/infusions/{session.pk}/")

    assert page.status_code == 200
    open("/tmp/chair.html", "wb").write(page.content)
