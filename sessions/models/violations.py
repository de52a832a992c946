"""What browsers refused on our pages because of the content policy."""

from django.db import models

from sessions.models.fields import Text


class Violation(models.Model):
    """One kind of refusal and how often it was told: state of the server, no record.

    `page` is the name of an address and `blocked` at most the name of a server, so that
    nothing of a patient is kept.
    """

    directive = Text(max_length=40)
    blocked = Text(max_length=100)
    page = Text(max_length=60)
    count = models.PositiveIntegerField(default=0)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()

    class Meta:
        ordering = ["-last_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["directive", "blocked", "page"], name="violation_once"
            )
        ]
