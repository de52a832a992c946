"""Versions of a protocol are immutable, and take two people to come into force."""

import pytest

from sessions.models import ProtocolEvent, ProtocolVersion
from sessions.rules.policy import Policy
from sessions.services import protocols
from sessions.services.acts import Refused, Replayed
from tests.factories.protocols import actor, protocol_in_force, with_value

pytestmark = pytest.mark.django_db


@pytest.fixture
def version(clinic, pharmacist, prescriber):
    return protocol_in_force(clinic, author=pharmacist, approver=prescriber)


def draft(version, by, value="45", key=""):
    return protocols.draft_version(
        protocol=version.protocol,
        document=with_value(
            version, "dosing", "ladder", "minutes", "value", value=value
        ),
        note="Slower",
        based_on=version,
        by=actor(by, key=key, content=value),
    )


def test_the_shipped_protocol_is_a_draft_until_somebody_else_approves_it(
    clinic, pharmacist, prescriber
):
    version = protocols.ship_default_protocol(clinic, actor(pharmacist))

    assert protocols.in_force(clinic) is None
    with pytest.raises(Refused, match="cannot approve"):
        protocols.approve_version(version=version, by=actor(pharmacist))
    protocols.approve_version(version=version, by=actor(prescriber))
    assert protocols.in_force(clinic) == version


def test_a_clinic_takes_the_shipped_protocol_once(clinic, pharmacist, version):
    with pytest.raises(Refused):
        protocols.ship_default_protocol(clinic, actor(pharmacist))


def test_approving_retires_the_version_before(version, pharmacist, prescriber):
    newer = draft(version, pharmacist)

    protocols.approve_version(version=newer, by=actor(prescriber))

    assert protocols.in_force(version.clinic) == newer
    assert version.events.filter(kind=ProtocolEvent.Kind.RETIRED).exists()


def test_a_version_is_approved_once(version, prescriber):
    with pytest.raises(Refused, match="approved already"):
        protocols.approve_version(version=version, by=actor(prescriber))


def test_a_document_the_rules_cannot_read_is_refused_by_its_key(version, pharmacist):
    with pytest.raises(Refused, match="ladder.minutes"):
        draft(version, pharmacist, value="soon")
    assert ProtocolVersion.objects.count() == 1


def test_a_draft_sent_twice_is_one_version(version, pharmacist):
    key = "8c1f7c1e-3a4c-4a53-9d8c-3c8c74b6b4a1"
    made = draft(version, pharmacist, key=key)

    with pytest.raises(Replayed) as again:
        draft(version, pharmacist, key=key)

    assert again.value.entry.object_id == made.pk
    assert ProtocolVersion.objects.count() == 2


def test_the_digest_does_not_depend_on_the_order_of_keys():
    assert protocols.digest({"a": 1, "b": 2}) == protocols.digest({"b": 2, "a": 1})


def test_a_stored_version_is_read_as_the_policy_it_was(version):
    policy = Policy.from_document(version.document, code="2026", version=1)

    assert version.policy == policy
    assert version.policy.label == "Protocol 2026-1"
