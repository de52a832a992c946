"""Write every downtime sheet anew."""

from django.core.management.base import BaseCommand, CommandError

from sessions.models import Clinic
from sessions.services import downtime


class Command(BaseCommand):
    help = "Write the downtime sheet of every visit in a chair anew, and say where."

    def handle(self, *args, **options) -> None:
        for clinic in Clinic.objects.all():
            try:
                count = downtime.refresh(clinic, everything=True)
            except OSError as error:
                raise CommandError(f"{clinic}: {error}") from error
            self.stdout.write(f"{clinic}: {count} in {downtime.folder_of(clinic)}")
