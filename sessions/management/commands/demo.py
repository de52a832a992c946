"""Make the demo clinic, and say how to sign in."""

from time import monotonic

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from sessions.demo.people import PASSWORD, STAFF
from sessions.demo.story import build
from sessions.models import Clinic


class Command(BaseCommand):
    help = "Make the demo clinic in an empty database; print its log-ins."

    def add_arguments(self, parser) -> None:
        parser.add_argument(
            "--if-empty",
            action="store_true",
            help="do nothing when there is a clinic; print the log-ins of a demo",
        )
        parser.add_argument(
            "--finished",
            type=int,
            default=250,
            help="about how many finished sessions lie behind it",
        )

    def handle(self, *args, **options) -> None:
        clinic = Clinic.objects.first()
        if clinic is None:
            self.stdout.write("Making the demo clinic …", ending="")
            self.stdout.flush()
            began = monotonic()
            clinic = build(timezone.now(), finished=options["finished"]).clinic
            self.stdout.write(f" {monotonic() - began:.0f} s")
        elif not options["if_empty"]:
            raise CommandError("There is a clinic already. `make clean-start` first.")
        if clinic.is_demo:
            self.stdout.write(f"Demo log-ins, all with the password {PASSWORD}:")
            for username, name, _, role in STAFF[:6]:
                self.stdout.write(f"  {username:<12}{role:<14}{name}")
