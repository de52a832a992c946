"""`audited_acts`: every act that the audit writes down, and where."""

from typing import Any

from sessions.management.audited import page
from sessions.management.strict_arguments import StrictCommand


class Command(StrictCommand):
    help = "Print docs/audited-acts.md from the code that writes the audit."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(page(), ending="")
