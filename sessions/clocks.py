"""Whether the server's clock was set while the server ran.

The machine also counts the seconds since it was switched on, asleep or awake, and that
count cannot be set. Where the clock has moved against it, the clock was set: times
written down before and since do not fit together (H14). A clock that the network keeps
right a little at a time moves both. Kept in the memory of a process, so that asking
costs no query; a process knows of what was set since it began.
"""

import time
from dataclasses import dataclass
from datetime import timedelta

from django.utils.translation import gettext as _

from sessions.charts import CLOCK_SLACK


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """How far the clock was set, in all: ahead, or back below zero."""

    by: timedelta

    @property
    def minutes(self) -> int:
        """Whole minutes, the nearest; below zero when it was set back."""
        return round(self.by / timedelta(minutes=1))

    @property
    def words(self) -> str:
        hours, minutes = divmod(abs(self.minutes), 60)
        far = f"{hours} h {minutes} min" if hours else f"{minutes} min"
        said = (
            _("The server's clock was set {far} ahead since it started.")
            if self.minutes > 0
            else _("The server's clock was set back by {far} since it started.")
        )
        return said.format(far=far)


class Compared:
    """The clock beside the count that nobody can set, from one moment on."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Take the clock for right from now on."""
        self.apart_s = _apart_s()

    @property
    def step(self) -> Step | None:
        """What the clock was set by, if that is more than two acts may lie apart."""
        by = timedelta(seconds=_apart_s() - self.apart_s)
        return Step(by=by) if abs(by) > CLOCK_SLACK else None


def _apart_s() -> float:
    return time.time() - _running_s()


def _running_s() -> float:
    """Seconds since the machine was switched on; where it is no Linux, a like count."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


server = Compared()
"""From the start of this process on (`apps.py`)."""
