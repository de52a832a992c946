"""Verify the chain of acts from its first row to its last."""

from argparse import ArgumentParser, ArgumentTypeError

from django.core.management.base import BaseCommand, CommandError

from sessions.services.audit import Head, verify_chain


class Command(BaseCommand):
    help = "Verify the audit chain; names the first row that does not fit."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--head",
            type=head,
            metavar="ROW:HASH",
            help="a head known from before, as this command or a backup printed it: "
            "also tells of rows cut off at the end and of a chain made anew",
        )

    def handle(self, *args, **options) -> None:
        found = verify_chain(known=options["head"])
        if found.fault:
            raise CommandError(f"Audit row {found.sequence}: {found.fault}.")
        self.stdout.write(f"{found.rows} rows, head {found.head_hash}: unbroken.")


def head(text: str) -> Head:
    number, colon, digest = text.partition(":")
    known = number.isascii() and number.isdigit() and int(number) > 0
    if not (colon and known and len(digest) == 64):
        raise ArgumentTypeError(f"{text!r} is not ROW:HASH, as 120:5f1d…")
    return Head(sequence=int(number), hash=digest)
