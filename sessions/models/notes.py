"""What one nurse tells the next."""

from sessions.models.fields import Prose
from sessions.models.infusions import SessionRow


class Note(SessionRow):
    """What the next nurse should know of a visit (H2); at most one of them stands.

    A newer note supersedes it, and an empty one says that nothing is left to tell.
    """

    text = Prose(max_length=500, blank=True)
