"""How fast requests of one sender may follow each other.

Each sender has so many requests in hand, and gets them back evenly over a minute: a
quick hand never notices, a machine is slowed down. Kept in the memory of a process, so
that slowing down costs no query; each further process of the server adds as many.
"""

import time
from collections.abc import Callable
from threading import Lock

SENDERS = 5_000
"""How many are remembered; those not heard of for longest are forgotten first."""


class Pace:
    """So many a minute for each sender; the number is asked for at each request."""

    def __init__(self, per_minute: Callable[[], int]) -> None:
        self.per_minute = per_minute
        self.left: dict[str, tuple[float, float]] = {}
        self.lock = Lock()

    def allows(self, sender: str) -> bool:
        """Take one request of this sender; false when none is left in hand."""
        most, now = self.per_minute(), time.monotonic()
        with self.lock:
            left, since = self.left.pop(sender, (float(most), now))
            left = min(most, left + (now - since) * most / 60)
            allowed = left >= 1
            self.left[sender] = (left - allowed, now)
            while len(self.left) > SENDERS:
                del self.left[next(iter(self.left))]
        return allowed
