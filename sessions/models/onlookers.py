"""Who has a visit on the screen: a notice, no part of the record."""

from django.db import models


class Onlooker(models.Model):
    """One user who has one visit open, and when the page was last heard of.

    Moved by the page's own polls: state, like when a login was last seen.
    """

    session = models.ForeignKey(
        "infusions.InfusionSession", models.PROTECT, related_name="onlookers"
    )
    user = models.ForeignKey("infusions.User", models.PROTECT, related_name="+")
    since = models.DateTimeField()
    last_seen_at = models.DateTimeField()

    class Meta:
        ordering = ["since", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["session", "user"], name="onlooker_once_a_visit"
            )
        ]
