"""Protocols for tests: shipped, approved by somebody else, or with a changed value."""

import copy

from sessions.models import Clinic, ProtocolVersion, User
from sessions.services import protocols
from sessions.services.acts import Actor
from tests.conftest import NINE


def actor(user: User, at=NINE, **given) -> Actor:
    """Somebody who acts at a chosen moment."""
    return Actor.of(user=user, clinic=user.clinic, at=at, **given)


def protocol_in_force(clinic: Clinic, *, author: User, approver: User, at=NINE):
    """The shipped protocol, drafted by one and approved by another."""
    version = protocols.ship_default_protocol(clinic, actor(author, at))
    protocols.approve_version(version=version, by=actor(approver, at))
    return ProtocolVersion.objects.select_related("protocol").get(pk=version.pk)


def with_value(version: ProtocolVersion, *path: str, value):
    """The version's document with one value changed."""
    document = copy.deepcopy(version.document)
    table = document
    for step in path[:-1]:
        table = table[step]
    table[path[-1]] = value
    return document
