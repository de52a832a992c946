"""A scan that cannot be used says why beside its box, and nothing is recorded."""

import uuid

import pytest
from django.utils import timezone

from sessions.models import AuditEntry, Vial
from sessions.services import recalls
from tests.factories import visits
from tests.factories.visits import Morning
from tests.journeys.stories import LOT, PACKS, scan_of

pytestmark = pytest.mark.django_db
CAST = ("nurse", "charge_nurse", "prescriber", "pharmacist", "admin")


@pytest.fixture
def morning(nurse, charge_nurse, prescriber, pharmacist, admin) -> Morning:
    """A visit that waits for its vials, in a clinic that knows the packs."""
    at = timezone.now()
    made = Morning.of(
        at=at,
        nurse=nurse,
        charge_nurse=charge_nurse,
        prescriber=prescriber,
        pharmacist=pharmacist,
        admin=admin,
    )
    other = Morning(at=at, **{name: getattr(made, name) for name in CAST})
    other.patient = visits.patient_known(nurse, at, mrn="77001")
    other.order = visits.active_order(
        other.patient, prescriber=prescriber, pharmacist=pharmacist, at=at
    )
    other.visit = visits.checked_in(
        other.order, charge_nurse=charge_nurse, nurse=nurse, at=at, chair="02"
    )
    for grams in ("10", "20"):
        code = {"gtin": PACKS[grams], "serial": f"E{grams}"}
        visits.vial(other.visit, nurse=nurse, at=at, grams=grams, **code)
    return made


@pytest.fixture
def scan(morning, sign_in, nurse):
    client = sign_in(nurse)

    def scanned(code: str):
        return client.post(
            f"/infusions/{morning.visit.pk}/vials/",
            {"code": code, "submission_key": str(uuid.uuid4())},
            headers={"HX-Request": "true", "HX-Target": "pre-vials"},
        )

    return scanned


def held(morning: Morning) -> int:
    return Vial.objects.current().filter(session=morning.visit).count()


def test_a_good_scan_is_one_vial(scan, morning):
    answer = scan(f"]d2{scan_of('A1')}\r")

    assert answer.status_code == 200
    assert held(morning) == 1


@pytest.mark.parametrize(
    ("code", "words"),
    [
        pytest.param(scan_of("A1")[:22], "could not be read", id="half a code"),
        pytest.param("x9;Q#" + scan_of("A1")[7:], "could not be read", id="noise"),
        pytest.param("]Q1https://example", "another kind of code", id="wrong kind"),
        pytest.param(scan_of("A1") + scan_of("A1"), "could not be read", id="twice"),
        pytest.param("", "Scan the vial", id="nothing"),
    ],
)
def test_what_a_scanner_may_type_by_mistake(scan, morning, code, words):
    before = AuditEntry.objects.count()

    answer = scan(code)

    page = answer.content.decode()
    assert answer.status_code == 422
    assert words in page
    assert 'id="vial_code_error"' in page
    assert held(morning) == 0
    assert AuditEntry.objects.count() == before


def test_an_expired_vial_says_so(scan, morning):
    answer = scan(scan_of("A1").replace("17280831", "17240831"))

    assert answer.status_code == 422
    assert "expired on 31 Aug 2024" in answer.content.decode()
    assert held(morning) == 0


def test_a_recalled_lot_says_why(scan, morning):
    recalls.recall_lot(
        product_key="privigen_10", lot=LOT, reason="particles", by=morning.by()
    )

    answer = scan(scan_of("A1"))

    assert answer.status_code == 422
    assert "particles. Set this vial aside" in answer.content.decode()
    assert held(morning) == 0


def test_a_serial_of_any_visit_is_used_once(scan, morning):
    answer = scan(scan_of("E10"))

    words = "Serial E10 was recorded already for another visit"
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert held(morning) == 0
    assert scan(scan_of("E11")).status_code == 200


def test_the_same_press_twice_is_one_vial(scan, morning, sign_in, nurse):
    client, key = sign_in(nurse), str(uuid.uuid4())
    given = {"code": scan_of("A1"), "submission_key": key}

    for _ in range(2):
        address = f"/infusions/{morning.visit.pk}/vials/"
        answer = client.post(address, given, headers={"HX-Request": "true"})
        assert answer.status_code == 200

    assert held(morning) == 1


def test_the_list_of_recalled_lots_is_kept_by_a_few(sign_in, nurse, pharmacist):
    given = {
        "product_key": "privigen_10",
        "lot": LOT,
        "reason": "notice 7",
        "submission_key": str(uuid.uuid4()),
    }
    page = sign_in(nurse).get("/catalogue/recalls/").content.decode()
    assert "Put on the list" not in page
    client = sign_in(pharmacist)

    answer = client.post("/catalogue/recalls/add/", given, follow=True)

    page = answer.content.decode()
    assert "its vials are refused from now on" in page
    assert "notice 7" in page
    assert client.post("/catalogue/recalls/add/", {"lot": ""}).status_code == 422
    row = recalls.list_of(pharmacist.clinic)[0].row
    lifted = client.post(
        f"/catalogue/recalls/{row.pk}/lift/",
        {"reason": "another lot", "submission_key": str(uuid.uuid4())},
        follow=True,
    )
    assert "may be used again" in lifted.content.decode()
    assert "notice 7" not in lifted.content.decode()
