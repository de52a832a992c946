"""The page of audited acts says what the code does."""

from pathlib import Path

from django.core.management import call_command

from sessions.management import audited

PAGE = Path(__file__).parent.parent / "docs" / "audited-acts.md"


def test_the_page_is_written_from_the_code(capsys):
    call_command("audited_acts")

    # run: python manage.py audited_acts > docs/audited-acts.md
    assert PAGE.read_text(encoding="utf-8") == capsys.readouterr().out


def test_acts_of_every_kind_are_on_it():
    acts = audited.audited_acts()

    assert len(acts) > 80
    assert {
        *("staff.sign-in", "staff.sign-in-refused", "access.denied", "session.view"),
        *("audit.export", "report.print", "clinic.settings", "vitals.correct"),
    } <= set(acts)
