"""Pages of the protocol: read, draft, approve, retire."""

import uuid

import pytest
from django.urls import reverse

from sessions.models import AuditEntry, ProtocolEvent, ProtocolVersion
from sessions.services import protocols
from tests.conftest import PASSWORD
from tests.factories.protocols import actor, protocol_in_force, with_value
from tests.reading import tight

pytestmark = pytest.mark.django_db


@pytest.fixture
def version(clinic, pharmacist, prescriber):
    return protocol_in_force(clinic, author=pharmacist, approver=prescriber)


def draft_url(version, part="doses"):
    return reverse("protocol-draft", args=[version.pk, part])


def draft_data(client, url, **changed):
    form = client.get(url).context["form"]
    data = {"submission_key": form.key, "note": "Slower", "source": "Our committee"}
    for each in form.editables:
        if each.kind != "flag" or each.value:
            data[each.name] = "on" if each.kind == "flag" else str(each.value)
    return data | changed


def test_a_new_clinic_takes_the_shipped_protocol_as_a_draft(sign_in, pharmacist):
    client = sign_in(pharmacist)
    assert (
        "Take the shipped protocol" in client.get(reverse("protocols")).content.decode()
    )

    client.post(reverse("protocol-ship"), {"submission_key": str(uuid.uuid4())})

    made = ProtocolVersion.objects.get()
    assert protocols.in_force(pharmacist.clinic) is None
    assert "draft" in client.get(reverse("protocols")).content.decode()
    assert made.number == 1


def test_the_version_page_shows_every_rule_with_its_source(sign_in, nurse, version):
    text = (
        sign_in(nurse)
        .get(reverse("protocol-version", args=[version.pk]))
        .content.decode()
    )

    text = tight(text)
    policy = version.policy.monitoring
    for rule in (*policy.thresholds, *policy.reactions.rows, *policy.timing):
        assert f'<th scope="row">{rule.rule}' in text
    assert "not verified" in text


def test_a_changed_value_becomes_the_next_version_with_its_own_source(
    sign_in, charge_nurse, version
):
    client = sign_in(charge_nurse)
    data = draft_data(client, draft_url(version), **{"ladder.minutes": "45"})

    response = client.post(draft_url(version), data)

    made = ProtocolVersion.objects.get(number=2)
    assert response.status_code == 302
    entry = made.document["dosing"]["ladder"]["minutes"]
    assert (entry["value"], entry["source"]) == ("45", "Our committee")
    same = made.document["dosing"]["ladder"]["multiply_by"]
    assert same == version.document["dosing"]["ladder"]["multiply_by"]
    assert protocols.in_force(version.clinic).number == 1


def test_a_value_of_before_that_decides_nothing_is_neither_shown_nor_asked(
    sign_in, charge_nurse, version
):
    days = {"value": "28", "source": "Our committee"}
    before = with_value(version, "dosing", "weight", "max_age_days", value=days)
    old = protocols.draft_version(
        protocol=version.protocol,
        document=before,
        note="as before",
        based_on=version,
        by=actor(charge_nurse),
    )
    client = sign_in(charge_nurse)

    page = client.get(reverse("protocol-version", args=[old.pk]))
    form = client.get(draft_url(old)).context["form"]

    shown = {row["label"] for _, rows in page.context["settings"] for row in rows}
    assert "Outer limit" in shown
    assert "Max age" not in shown
    assert "weight.outer_limit_days" in form.fields
    assert "weight.max_age_days" not in form.fields
    # How fine the pumps are is the clinic's setting.
    assert "Pump" not in shown
    assert "rounding.pump_ml_per_h" not in form.fields


def test_a_limit_and_an_action_are_changed_in_a_draft_of_a_draft(
    sign_in, charge_nurse, version
):
    client = sign_in(charge_nurse)
    url = draft_url(version, "limits")
    client.post(url, draft_data(client, url, **{"thresholds.V-01.0.at_least": "0.8"}))
    url = draft_url(ProtocolVersion.objects.get(number=2), "reactions")
    client.post(url, draft_data(client, url, **{"reactions.R-01.act": "PAUSE_RESTART"}))

    policy = ProtocolVersion.objects.get(number=3).policy.monitoring
    rule = next(r for r in policy.thresholds if r.rule == "V-01")
    assert str(rule.conditions[0].limit) == "0.8"
    headache = next(r for r in policy.reactions.rows if r.rule == "R-01")
    assert headache.act.code == "PAUSE_RESTART"


def test_a_value_outside_its_limits_names_its_field_and_keeps_the_typing(
    sign_in, charge_nurse, version
):
    client = sign_in(charge_nurse)
    data = draft_data(client, draft_url(version), **{"ladder.multiply_by": "9"})

    response = client.post(draft_url(version), data)

    assert response.status_code == 422
    assert "ladder.multiply_by" in response.context["form"].errors
    assert 'value="9"' in response.content.decode()
    assert ProtocolVersion.objects.count() == 1


def test_a_draft_without_a_change_is_refused(sign_in, charge_nurse, version):
    client = sign_in(charge_nurse)

    url = draft_url(version)
    response = client.post(url, draft_data(client, url))

    assert response.status_code == 422
    assert "Nothing was changed" in response.content.decode()


def test_the_author_cannot_approve(sign_in, pharmacist):
    version = protocols.ship_default_protocol(pharmacist.clinic, actor(pharmacist))

    response = sign_in(pharmacist).post(
        reverse("protocol-approve", args=[version.pk]),
        {"submission_key": str(uuid.uuid4()), "password": PASSWORD},
    )

    assert response.status_code == 422
    assert "cannot approve" in response.content.decode()
    assert not ProtocolEvent.objects.exists()


def test_approval_asks_for_the_password(sign_in, pharmacist, prescriber):
    version = protocols.ship_default_protocol(pharmacist.clinic, actor(pharmacist))
    client, url = sign_in(prescriber), reverse("protocol-approve", args=[version.pk])

    wrong = client.post(
        url, {"submission_key": str(uuid.uuid4()), "password": "not the password"}
    )
    right = client.post(
        url, {"submission_key": str(uuid.uuid4()), "password": PASSWORD}
    )

    assert (wrong.status_code, right.status_code) == (422, 302)
    assert protocols.in_force(pharmacist.clinic) == version
    assert PASSWORD not in "".join(AuditEntry.objects.values_list("detail", flat=True))


def test_a_nurse_may_read_but_not_draft_nor_approve(sign_in, nurse, version):
    client = sign_in(nurse)

    assert client.get(reverse("protocols")).status_code == 200
    assert client.get(reverse("protocol-draft", args=[version.pk])).status_code == 403
    assert (
        client.post(reverse("protocol-approve", args=[version.pk])).status_code == 403
    )


def test_another_clinic_does_not_see_the_version(sign_in, stranger, version):
    url = reverse("protocol-version", args=[version.pk])

    response = sign_in(stranger).get(url)

    assert response.status_code == 404
    assert "IVIG infusion" not in response.content.decode()


def test_retiring_says_why(sign_in, prescriber, version):
    client, url = sign_in(prescriber), reverse("protocol-retire", args=[version.pk])
    data = {"submission_key": str(uuid.uuid4()), "password": PASSWORD}

    assert client.post(url, data | {"reason": ""}).status_code == 422
    done = client.post(url, data | {"reason": "Replaced by the regional one"})

    assert done.status_code == 302
    assert protocols.in_force(version.clinic) is None
