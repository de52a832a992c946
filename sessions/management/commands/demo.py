"""Make the demo clinic, and say how to sign in."""

import gc
import os
import signal
from time import monotonic

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from sessions.demo.people import PASSWORD, STAFF
from sessions.demo.story import build, build_past
from sessions.models import Clinic


def tell_past(clinic: Clinic) -> None:
    """Beside the server; when it ends, this ends too, at the next patient."""
    ended = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.append(True))
    server = os.getppid()

    def stop() -> bool:
        return bool(ended) or os.getppid() != server

    build_past(clinic, timezone.now(), stop=stop)


class Command(BaseCommand):
    help = "Make the demo clinic in an empty database; print its log-ins."

    def add_arguments(self, parser) -> None:
        parser.add_argument(
            "--if-empty",
            action="store_true",
            help="do nothing when there is a clinic; print the log-ins of a demo",
        )
        parser.add_argument(
            "--past",
            action="store_true",
            help="tell those patients of the past who are not told yet",
        )

    def handle(self, *args, **options) -> None:
        gc.disable()  # a short life leaves little garbage
        clinic = Clinic.objects.first()
        if options["past"]:
            if clinic and clinic.is_demo:
                tell_past(clinic)
            return
        if clinic is None:
            self.stdout.write("Making the demo clinic …", ending="")
            self.stdout.flush()
            began = monotonic()
            clinic = build(timezone.now()).clinic
            self.stdout.write(f" {monotonic() - began:.0f} s")
        elif not options["if_empty"]:
            raise CommandError("There is a clinic already. `make clean-start` first.")
        if clinic.is_demo:
            self.stdout.write(f"Demo log-ins, all with the password {PASSWORD}:")
            for username, name, _, role in STAFF[:6]:
                self.stdout.write(f"  {username:<12}{role:<14}{name}")
