"""Import patients from FHIR R4 bundles."""

from pathlib import Path

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from sessions.models import Clinic, User
from sessions.services.acts import Actor
from sessions.services.bundles import MOST_BYTES, BundleError, read_document
from sessions.services.importing import import_bundle, importer_of


class Command(BaseCommand):
    help = (
        "Import patients with their weights, heights, allergies and risk factors from "
        "FHIR R4 bundles (JSON, packed with gzip or not). Each file is taken whole or "
        "not at all; importing it again changes nothing. Exit status 1 when a file "
        "was refused."
    )

    def add_arguments(self, parser) -> None:
        parser.add_argument("files", nargs="+", metavar="FILE", type=Path)
        parser.add_argument("--clinic", metavar="CODE", help="default: the only clinic")
        parser.add_argument(
            "--user",
            metavar="USERNAME",
            help="who is recorded as the author; default: the clinic's import account",
        )

    def handle(self, *args, **options) -> None:
        clinic = _clinic(options["clinic"])
        user = _user(clinic, options["user"])
        refused = 0
        for path in options["files"]:
            by = Actor.of(
                user=user or importer_of(clinic, at=timezone.now()),
                clinic=clinic,
                at=timezone.now(),
                workstation="import_fhir",
            )
            try:
                imported = import_bundle(_document(path), by=by)
            except BundleError as error:
                refused += 1
                self.stderr.write(f"{path.name}: REFUSED, nothing of it kept. {error}")
                continue
            first, *rest = imported.lines
            self.stdout.write(f"{path.name}: {first}")
            for line in rest:
                self.stdout.write(f"  {line}")
        if refused:
            count = len(options["files"])
            raise CommandError(f"{refused} of {count} files refused.", returncode=1)


def _document(path: Path) -> dict:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise BundleError("The file is larger than 64 MiB.")
        return read_document(path.read_bytes())
    except OSError as error:
        raise BundleError(f"The file cannot be read: {error.strerror}.") from error


def _clinic(code: str | None) -> Clinic:
    clinics = Clinic.objects.filter(code=code) if code else Clinic.objects.all()
    found = list(clinics[:2])
    if len(found) == 1:
        return found[0]
    if code:
        raise CommandError(f"--clinic: there is no clinic {code}.", returncode=2)
    problem = "there are several clinics" if found else "there is no clinic yet"
    raise CommandError(f"--clinic: {problem}; name one.", returncode=2)


def _user(clinic: Clinic, username: str | None) -> User | None:
    if username is None:
        return None
    user = User.objects.filter(clinic=clinic, username=username).first()
    if user is None or not user.may("edit_patient"):
        raise CommandError(
            "--user: no active member of this clinic who may record patients.",
            returncode=2,
        )
    return user
