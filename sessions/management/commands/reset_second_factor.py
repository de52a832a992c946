"""Let somebody in again when no admin can: the way of who owns the server."""

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from sessions.models import User
from sessions.services import factors, lockout
from sessions.services.acts import Actor


class Command(BaseCommand):
    help = (
        "Take every second factor and recovery code of somebody away, end their logins "
        "and unlock them. At the next sign-in they add a new factor. For the only "
        "admin whose phone is lost; another admin does the same in the browser."
    )

    def add_arguments(self, parser) -> None:
        parser.add_argument("username", help="the name they sign in with")

    def handle(self, *args, **options) -> None:
        users = User.objects.select_related("clinic", "role")
        user = users.filter(username=options["username"]).first()
        if user is None:
            raise CommandError(f"Nobody here is called {options['username']}.")
        by = Actor.of(
            user=None,
            clinic=user.clinic,
            at=timezone.now(),
            workstation="reset_second_factor",
        )
        factors.forget_all(user=user, by=by)
        lockout.unlock(user=user, by=by)
        self.stdout.write(
            f"{user.name} signs in with the password and adds a new second factor."
        )
