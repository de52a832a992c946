"""The clinic's policy: drafted by one person, approved by another, then immutable."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _lazy

from sessions.catalogue.default_protocol import CODE, default_document
from sessions.models import Clinic, Protocol, ProtocolEvent, ProtocolVersion
from sessions.rules.policy import Policy
from sessions.rules.sources import DocumentError
from sessions.services.acts import Actor, Refused, act

DEFAULT_NAME = _lazy("IVIG infusion")
SHIPPED = _lazy(
    "The default protocol as shipped: a draft until this clinic approves it."
)


def in_force(clinic: Clinic) -> ProtocolVersion | None:
    """The one version that new orders and sessions of a clinic follow."""
    return (
        ProtocolVersion.objects.of(clinic).in_force().select_related("protocol").first()
    )


def canonical(document: Mapping[str, Any]) -> str:
    """The one text of a document, whatever the order of its keys."""
    return json.dumps(
        document, sort_keys=True, ensure_ascii=False, separators=(",", ":")
    )


def digest(document: Mapping[str, Any]) -> str:
    """SHA-256 over the canonical text."""
    return hashlib.sha256(canonical(document).encode()).hexdigest()


def ship_default_protocol(clinic: Clinic, by: Actor) -> ProtocolVersion:
    """Give a clinic the shipped protocol as version 1, a draft."""
    with act("protocol.ship", by=by) as done:
        if Protocol.objects.filter(clinic=clinic, code=CODE).exists():
            raise Refused("This clinic has its protocol already.")
        protocol = Protocol.objects.create(clinic=clinic, code=CODE, name=DEFAULT_NAME)
        version = _append(protocol, default_document(), note=SHIPPED, by=by)
        done.on(version, sha256=version.sha256)
    return version


def draft_version(
    *,
    protocol: Protocol,
    document: Mapping[str, Any],
    note: str,
    based_on: ProtocolVersion,
    by: Actor,
) -> ProtocolVersion:
    """Add a version; it changes nothing until somebody else approves it.

    Refuses a document that the rules cannot read (the message names the key), and one
    that says what another version says already.
    """
    with act("protocol.draft", by=by) as done:
        protocol = Protocol.objects.select_for_update().get(pk=protocol.pk)
        same = protocol.versions.filter(sha256=digest(document)).first()
        if same:
            raise Refused(
                "Nothing was changed: version {number} says the same.",
                number=same.number,
            )
        version = _append(protocol, document, note=note, by=by)
        done.on(version, sha256=version.sha256, based_on=based_on.number)
    return version


def approve_version(*, version: ProtocolVersion, by: Actor) -> ProtocolEvent:
    """Put a draft in force; the version that was in force is retired with it.

    The author may not approve (H7), and neither may the one who approves
    leave two versions in force at once.
    """
    with act("protocol.approve", by=by) as done:
        version = _locked(version)
        if by.user is None or version.recorded_by_id == by.user.pk:
            raise Refused("Whoever drafted a version cannot approve it.")
        kinds = _kinds(version)
        if ProtocolEvent.Kind.RETIRED in kinds:
            raise Refused("This version is retired. Draft a new one.")
        if ProtocolEvent.Kind.APPROVED in kinds:
            raise Refused("This version is approved already.")
        _read(version.document, version.protocol.code, version.number)
        before = list(ProtocolVersion.objects.of(version.clinic).in_force())
        for earlier in before:
            _event(earlier, ProtocolEvent.Kind.RETIRED, by)
        event = _event(version, ProtocolEvent.Kind.APPROVED, by)
        done.on(
            version,
            sha256=version.sha256,
            retired=[earlier.number for earlier in before],
        )
    return event


def retire_version(
    *, version: ProtocolVersion, reason: str, by: Actor
) -> ProtocolEvent:
    """Take a version out of use; sessions that began under it keep it."""
    with act("protocol.retire", by=by) as done:
        version = _locked(version)
        if ProtocolEvent.Kind.RETIRED in _kinds(version):
            raise Refused("This version is retired already.")
        if not reason.strip():
            raise Refused("Say why this version is retired.", field="reason")
        event = _event(version, ProtocolEvent.Kind.RETIRED, by)
        done.on(version, reason=reason)
    return event


def _append(
    protocol: Protocol, document: Mapping[str, Any], *, note: str, by: Actor
) -> ProtocolVersion:
    newest = protocol.versions.order_by("-number").first()
    number = newest.number + 1 if newest else 1
    _read(document, protocol.code, number)
    return ProtocolVersion.objects.create(
        protocol=protocol,
        number=number,
        document=document,
        sha256=digest(document),
        note=note,
        **by.stamp(),
    )


def _read(document: Mapping[str, Any], code: str, number: int) -> Policy:
    """Read a document as the rules will, or refuse it in the rules' words."""
    try:
        return Policy.from_document(document, code=code, version=number)
    except (DocumentError, ValueError) as error:
        raise Refused(str(error)) from error


def _locked(version: ProtocolVersion) -> ProtocolVersion:
    """The version with its protocol's header locked, so that events are not doubled."""
    Protocol.objects.select_for_update().get(pk=version.protocol_id)
    return ProtocolVersion.objects.select_related("protocol", "clinic").get(
        pk=version.pk
    )


def _kinds(version: ProtocolVersion) -> set[str]:
    return set(version.events.values_list("kind", flat=True))


def _event(
    version: ProtocolVersion, kind: ProtocolEvent.Kind, by: Actor
) -> ProtocolEvent:
    return ProtocolEvent.objects.create(
        protocol_version=version, kind=kind, **by.stamp()
    )
