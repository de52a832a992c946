"""Verify the chain of acts from its first row to its last."""

from django.core.management.base import BaseCommand, CommandError

from sessions.services.audit import verify_chain


class Command(BaseCommand):
    help = "Verify the audit chain; names the first row that does not fit."

    def handle(self, *args, **options) -> None:
        found = verify_chain()
        if found.fault:
            raise CommandError(f"Audit row {found.sequence}: {found.fault}.")
        self.stdout.write(f"{found.rows} rows, head {found.head_hash}: unbroken.")
