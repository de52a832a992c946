"""The way in for the only admin whose phone is lost: from the server itself."""

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from sessions.models import AuditEntry, Factor
from tests.views.test_sign_ins import add_app, enter


def test_the_owner_of_the_server_lets_an_admin_in_again(admin, capsys):
    add_app(admin)
    for number in range(10):
        enter(Client(), "admin", "wrong", f"10.0.1.{number}")

    call_command("reset_second_factor", "admin")

    assert not Factor.objects.exists()
    assert "adds a new second factor" in capsys.readouterr().out
    answer = enter(Client(), "admin")
    assert answer.status_code == 302
    entry = AuditEntry.objects.get(action="staff.factors-forget")
    assert (entry.user, entry.clinic) == (None, admin.clinic)
    assert entry.workstation == "reset_second_factor"


def test_an_unknown_name_is_said(clinic):
    with pytest.raises(CommandError, match="Nobody"):
        call_command("reset_second_factor", "nobody")
