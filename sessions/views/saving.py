"""From a form of the settings pages to one act, and to the status that answers."""

from collections.abc import Callable

from sessions.access import ClinicRequest, actor
from sessions.forms.base import ClinicForm
from sessions.services.acts import Actor, KeyReused, Refused, Replayed, Stale, retried

SAVED = 303
"""The act was done, now or by an earlier copy of this submission: go on (PRG)."""


def save(
    request: ClinicRequest, form: ClinicForm, do: Callable[[Actor], object]
) -> int:
    """Do the act when the form is valid; what was refused stands in the form.

    Answers `SAVED`, 422 for what can be corrected, 409 for what somebody else changed.
    """
    if not form.is_valid():
        return 422
    try:
        retried(do, actor(request, key=form.key, content=form.content))
    except Replayed:
        return SAVED
    except (Stale, KeyReused) as refused:
        form.add_refusal(refused)
        return 409
    except Refused as refused:
        form.add_refusal(refused)
        return 422
    return SAVED
