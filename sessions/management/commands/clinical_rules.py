"""`clinical_rules`: every clinical rule in words, with its source and its test."""

from __future__ import annotations

from typing import Any

from sessions.management.rulebook import clinical_rules
from sessions.management.strict_arguments import StrictCommand


class Command(StrictCommand):
    help = "Print docs/clinical-rules.md from the shipped protocol and the catalogue."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(clinical_rules(), ending="")
