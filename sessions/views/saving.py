"""From a form to one act, for pages that go on to another page when it is saved."""

from collections.abc import Callable

from sessions.access import ClinicRequest
from sessions.forms.base import ClinicForm
from sessions.services.acts import Actor
from sessions.views.acting import attempt

SAVED = 303
"""The act was done, now or by an earlier copy of this submission: go on (PRG)."""


def save(
    request: ClinicRequest, form: ClinicForm, do: Callable[[Actor], object]
) -> int:
    """Do the act when the form is valid; what was refused stands in the form.

    Answers `SAVED`, 422 for what can be corrected, 409 for what somebody else changed.
    """
    went = attempt(request, form, do)
    return SAVED if went.saved else went.status
