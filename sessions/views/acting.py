"""From a form to one act and its answer, the same way for every screen."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from sessions.access import ClinicRequest, actor
from sessions.forms.base import ClinicForm
from sessions.models import AuditEntry
from sessions.services.acts import Actor, KeyReused, Refused, Replayed, Stale, retried

SAVED, REFUSED, STALE = 200, 422, 409


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """How an act went; `result` is what the service gave back, None for a resend.

    A resend has the `first` answer instead: the row of the audit that ended it.
    """

    status: int
    result: Any = None
    first: AuditEntry | None = None
    message: str = ""

    @property
    def saved(self) -> bool:
        return self.status == SAVED

    @property
    def made_id(self) -> int | None:
        """The id of the row that the act is about, now or at the first time."""
        if self.first is not None:
            return self.first.object_id
        return getattr(self.result, "pk", None)


def attempt(
    request: ClinicRequest, form: ClinicForm, do: Callable[[Actor], Any]
) -> Attempt:
    """Do the act when the form is valid; what was refused stands in the form.

    A resend of a submission that was taken is saved, and done only once (I10).
    """
    if not form.is_valid():
        return Attempt(status=REFUSED, message=first_error(form))
    try:
        by = actor(request, key=form.key, content=form.content)
        if form.pressed is not None:
            by = replace(by, pressed_at=min(form.pressed, by.at))
        result = retried(do, by)
    except Replayed as replayed:
        return Attempt(status=SAVED, first=replayed.entry)
    except (Stale, KeyReused) as refused:
        form.add_refusal(refused)
        return Attempt(status=STALE, message=refused.message)
    except Refused as refused:
        form.add_refusal(refused)
        return Attempt(status=REFUSED, message=refused.message)
    return Attempt(status=SAVED, result=result)


def first_error(form: ClinicForm) -> str:
    """The first thing wrong with a form, for forms that are a single button."""
    for messages in form.errors.values():
        return str(messages[0])
    return ""
