"""Every address, method and role, in this clinic and another, whole and as a part.

The matrix is data (access_matrix.toml). Each refusal is also searched for words that
only stand in patients' records (I14, hazard H29).
"""

import logging
import re
import tomllib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import django.test.utils
import pytest
from django.apps import apps
from django.db import transaction
from django.template import Template
from django.test import Client
from django.urls import URLPattern, reverse
from django.utils import timezone

from sessions import paper, roles
from sessions.forms.protocols import PARTS
from sessions.middleware import LAST_SEEN, SECOND_FACTOR, SIGNED_IN_AT
from sessions.models import (
    Allergy,
    AuditEntry,
    Chair,
    Clinic,
    Consent,
    Factor,
    GivenMedicine,
    Height,
    InfusionSession,
    LabResult,
    Login,
    Note,
    Onlooker,
    OrderMedicine,
    ProtocolVersion,
    RecalledLot,
    RiskFactor,
    User,
    Vial,
    WallScreen,
)
from sessions.services.reactions import record_outcome, record_reaction
from sessions.services.sign_ins import hashed
from sessions.services.vitals import record_vitals
from sessions.sheets import XLSX
from sessions.urls import urlpatterns
from sessions.views.reports import KINDS
from tests.conftest import make_user
from tests.factories import visits
from tests.factories.infusions import NORMAL, by, stamp

MATRIX = tomllib.loads(
    (Path(__file__).parent / "access_matrix.toml").read_text(encoding="utf-8")
)
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
OURS, THEIRS = "quillfeather", "nightjarrow"
"""Words that stand only in the patients' records of this clinic, and of the other."""

ANSWERED = {200, 204, 302, 303, 409, 422}
"""An answer to who may ask; what a form lacks is said with 409 or 422."""


@dataclass(frozen=True, slots=True)
class Address:
    """One address with what the matrix says about it."""

    name: str
    arguments: tuple[str, ...]
    rows: dict[str, str]
    roles: dict[str, tuple[str, ...]]
    query: dict[str, str]
    is_gone: bool = False

    def at(self, ids: dict[str, int], *, way: int = 0) -> str:
        """The address for some rows, with the first of its fixed words or another."""

        def value(kind: str) -> str | int:
            words = kind[1:].split()
            return words[way % len(words)] if kind.startswith("=") else ids[kind]

        return reverse(
            self.name,
            kwargs={
                argument: value(self.rows[argument]) for argument in self.arguments
            },
            query={name: value(kind) for name, kind in self.query.items()},
        )

    @property
    def asked(self) -> list[str]:
        """The kinds of rows that stand behind the question mark."""
        return [kind for kind in self.query.values() if not kind.startswith("=")]

    @property
    def ways(self) -> int:
        """How many fixed words may stand in it."""
        fixed = [kind for kind in self.rows.values() if kind.startswith("=")]
        return max((len(kind.split()) for kind in fixed), default=1)

    @property
    def kinds(self) -> list[str]:
        """The kinds of rows its ids name, the outer one first."""
        named = [self.rows[argument] for argument in self.arguments]
        return [kind for kind in named if not kind.startswith("=")]

    def answers(self, role: str, method: str) -> bool:
        """Whether the matrix lets a role use a method."""
        allowed = self.roles[method]
        return bool({"everyone", "staff", role} & set(allowed))


def addresses() -> Iterator[Address]:
    """Every address of the product that the matrix knows."""
    for pattern in urlpatterns:
        row = MATRIX.get(pattern.name)
        if row is None:
            continue
        yield Address(
            name=pattern.name,
            arguments=tuple(pattern.pattern.converters),
            rows=row.get("rows", {}),
            roles={method: tuple(row[method]) for method in METHODS if method in row},
            query=row.get("query", {}),
            is_gone=row.get("gone", False),
        )


ADDRESSES = list(addresses())
PUBLIC = {"sign-in", "sign-in-step", "set-up", "policy-violations"}
WITHOUT_TOKEN = {"policy-violations"}
"""What a browser sends by itself, without a form; it changes nothing but counters."""


def test_every_address_stands_in_the_matrix():
    assert all(isinstance(pattern, URLPattern) for pattern in urlpatterns)
    missing = {pattern.name for pattern in urlpatterns} - set(MATRIX)

    assert not missing, f"say in access_matrix.toml who may use {sorted(missing)}"


def test_the_matrix_names_no_address_that_is_gone():
    assert set(MATRIX) <= {pattern.name for pattern in urlpatterns}


def test_the_matrix_names_known_roles_methods_and_ids():
    for address in ADDRESSES:
        named = {role for row in address.roles.values() for role in row}
        assert named <= {"everyone", "staff", *roles.ROLES}, address.name
        assert set(address.arguments) <= set(address.rows), address.name
        public = any("everyone" in row for row in address.roles.values())
        assert public is (address.name in PUBLIC), address.name


def test_the_matrix_names_every_report_and_every_part_of_a_protocol():
    words = {address.name: set() for address in ADDRESSES}
    for address in ADDRESSES:
        for kind in address.rows.values():
            words[address.name] |= set(kind[1:].split() if kind[0] == "=" else ())

    assert words["protocol-draft"] == set(PARTS)
    for name in ("report", "report-print", "report-export", "report-export-xlsx"):
        assert words[name] == set(KINDS), name


def test_an_address_that_nobody_wrote_down_is_noticed():
    names = {*(pattern.name for pattern in urlpatterns), "order-shred"}

    assert names - set(MATRIX) >= {"order-shred"}


# ── the world ──────────────────────────────────────────────────────────────────


@dataclass
class World:
    """Two clinics with all that has an address in each of them."""

    users: dict[str, User] = field(default_factory=dict)
    mine: dict[str, dict[str, int]] = field(default_factory=dict)
    own: dict[str, int] = field(default_factory=dict)
    second: dict[str, int] = field(default_factory=dict)
    other: dict[str, int] = field(default_factory=dict)


@pytest.fixture
def world(clinic, other_clinic) -> World:
    at = timezone.now() - timedelta(minutes=30)
    ours, theirs = cast_of(clinic), cast_of(other_clinic)
    return World(
        users=ours,
        mine={role: rows_of(user, at) for role, user in ours.items()},
        own=visit_with_everything(ours, OURS, "01", at),
        second=visit_with_everything(ours, OURS, "02", at),
        other=visit_with_everything(theirs, THEIRS, "01", at)
        | rows_of(theirs["nurse"], at),
    )


def rows_of(user: User, at: datetime) -> dict[str, int]:
    """What belongs to one user alone: nobody else reaches it, whatever their role."""
    factor = Factor.objects.create(
        user=user, kind="app", name="phone", secret="sealed", created_at=at
    )
    login = Login.objects.create(
        user=user,
        key_hash=f"{user.pk:064}",
        device="tablet",
        signed_in_at=at,
        last_seen_at=at,
    )
    return {"my factor": factor.pk, "my login": login.pk}


def cast_of(clinic: Clinic) -> dict[str, User]:
    """One user of each role."""
    return {
        role: make_user(clinic, role, f"{role} of {clinic.code}", f"Sam {role}")
        for role in roles.ROLES
    }


def visit_with_everything(
    cast: dict[str, User], word: str, chair: str, at: datetime
) -> dict[str, int]:
    """A running visit whose every text holds a word, and the ids of all its rows."""
    nurse, prescriber = cast["nurse"], cast["prescriber"]
    clinic = nurse.clinic
    if ProtocolVersion.objects.filter(clinic=clinic).first() is None:
        visits.protocol_in_force(clinic, author=nurse, approver=prescriber, at=at)
    patient = visits.patient_known(
        nurse,
        at,
        mrn=f"{word}{chair}",
        family_name=word.capitalize(),
        given_names=f"Zephyrine {word.capitalize()}",
    )
    order = visits.active_order(
        patient, prescriber=prescriber, pharmacist=cast["pharmacist"], at=at
    )
    visit = visits.checked_in(
        order, charge_nurse=cast["charge nurse"], nurse=nurse, at=at, chair=chair
    )
    session = visits.started(visit, nurse=nurse, at=at)
    about = {"patient": patient, **stamp(nurse, at)}
    ids = {
        "patient": patient.pk,
        "session": session.pk,
        "order": session.order_id,
        "protocol": session.order.current.protocol_version_id,
        "user": nurse.pk,
        "chair": Chair.objects.get(clinic=clinic, name=chair).pk,
        "wall": WallScreen.objects.create(
            clinic=clinic,
            name="corridor",
            key_hash=hashed(f"{word}{chair}"),
            opened_at=at,
            opened_by=nurse,
        ).pk,
        "weight": session.order.current.weight_id,
        "height": Height.objects.create(
            height_cm=Decimal(168), as_typed=f"168 {word}", **about
        ).pk,
        "allergy": Allergy.objects.create(substance=f"{word} dust", **about).pk,
        "lab": LabResult.objects.create(test="iga", value_text=word, **about).pk,
        "consent": Consent.objects.create(
            given=True, scope=word, expires_on=date(2030, 1, 1), **about
        ).pk,
        "pregnancy": RiskFactor.objects.create(
            key="pregnancy", presence="absent", detail=word, **about
        ).pk,
        "risk": RiskFactor.objects.create(
            key="diabetes", presence="present", detail=word, **about
        ).pk,
    }
    return ids | rows_of_visit(session, nurse, word, at)


def rows_of_visit(session: InfusionSession, nurse: User, word: str, at):
    soon = at + timedelta(minutes=15)
    fallen = NORMAL | {"systolic_mmhg": 104}
    recorded = record_vitals(session=session, reading=fallen, by=by(nurse, soon))
    seen = record_reaction(
        session=session,
        symptoms=[("headache", "mild")],
        action="continue",
        action_reason=word,
        note=word,
        by=by(nurse, soon),
    )
    told = record_outcome(
        session=session,
        reaction_id=seen.reaction.pk,
        kind="improving",
        note=word,
        by=by(nurse, soon + timedelta(minutes=1)),
    )
    Note.objects.create(session=session, text=word, **stamp(nurse, at))
    medicine = {
        "medicine_key": "cetirizine_1",
        "name": f"Cetirizine {word}",
        "dose": Decimal(10),
        "dose_unit": "mg",
        "route": "PO",
        **stamp(nurse, at),
    }
    ordered = OrderMedicine.objects.create(
        order_version=session.order.current, purpose="as_needed", **medicine
    )
    given = GivenMedicine.objects.create(session=session, ordered=ordered, **medicine)
    vial = Vial.objects.create(
        session=session,
        product_key="privigen_10",
        product_name="Privigen 10%",
        lot=word,
        expiry=date(2030, 1, 1),
        grams=Decimal(20),
        volume_ml=Decimal(200),
        **stamp(nurse, at),
    )
    recalled = RecalledLot.objects.create(
        product_key="privigen_10",
        product_name="Privigen 10%",
        lot="R17",
        reason=word,
        **stamp(nurse, at),
    )
    return {
        "recalled lot": recalled.pk,
        "vitals": recorded.vitals.pk,
        "rate": session.ratechanges.latest("pk").pk,
        "flag": recorded.flag.pk,
        "reaction": seen.reaction.pk,
        "outcome": told.pk,
        "ordered medicine": ordered.pk,
        "given medicine": given.pk,
        "vial": vial.pk,
    }


@pytest.fixture(autouse=True)
def _quickly(monkeypatch):
    """Thousands of answers: note no template, draw no PDF, log no refusal."""
    render = django.test.utils._TestState.saved_data.template_render
    monkeypatch.setattr(Template, "_render", render)
    monkeypatch.setattr(paper, "pdf_of", str.encode)
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


# ── the walk ───────────────────────────────────────────────────────────────────


class Walker:
    """Asks at addresses as one user, and takes back whatever the answer changed."""

    def __init__(self, user: User | None, *, tokens: bool = False) -> None:
        self.client = Client(raise_request_exception=False, enforce_csrf_checks=tokens)
        if user is not None:
            self.client.force_login(user)
            session = self.client.session
            now = timezone.now().isoformat()
            session[SIGNED_IN_AT], session[LAST_SEEN] = now, now
            session[SECOND_FACTOR] = True
            session.save()
        self.cookies = self.client.cookies.output()
        self.kept = dict(self.client.cookies)

    def ask(self, method: str, address: str, *, fragment: bool):
        """The answer's status and all of its text, lower case."""
        answer = self.answer(method, address, fragment=fragment)
        return answer.status_code, f"{answer.headers}".lower() + text_of(answer)

    def answer(self, method: str, address: str, *, fragment: bool, keep: bool = False):
        """The answer itself; unless `keep`, whatever it changed is taken back."""
        self.client.cookies.clear()
        self.client.cookies.update(self.kept)
        headers = {"HX-Request": "true"} if fragment else {}
        data = {"submission_key": str(uuid.uuid4())} if method == "POST" else None
        with transaction.atomic():
            answer = getattr(self.client, method.lower())(
                address, data, headers=headers
            )
            transaction.set_rollback(not keep)
        return answer


def text_of(answer) -> str:
    """All that stands in an answer, lower case: of a workbook each of its parts, of a
    PDF the page it is drawn from."""
    whole = b"".join(answer) if answer.streaming else answer.content
    parts = [whole]
    if answer.headers.get("Content-Type") == XLSX:
        with ZipFile(BytesIO(whole)) as book:
            parts = [book.read(name) for name in book.namelist()]
    charset = answer.charset or "utf-8"
    return "\n".join(part.decode(charset, "replace") for part in parts).lower()


def place(address: Address, method: str, fragment: bool) -> str:
    return f"{method} {address.name}{' as a fragment' if fragment else ''}"


@pytest.mark.parametrize("role", roles.ROLES)
def test_each_role_gets_what_the_matrix_says_and_nothing_else(world, role):
    walker, wrong = Walker(world.users[role]), []
    for address in ADDRESSES:
        url = address.at(world.own | world.mine[role])
        for method in METHODS:
            for fragment in (False, True) if method in address.roles else (False,):
                status, text = walker.ask(method, url, fragment=fragment)
                wrong += [
                    f"{place(address, method, fragment)}: {problem}"
                    for problem in problems(address, role, method, status, text)
                ]

    assert not wrong, "\n".join(wrong)


def problems(address: Address, role: str, method: str, status: int, text: str):
    """What is wrong with one answer of one's own clinic."""
    if method not in address.roles:
        if status != 405:
            yield f"{status}, not 405"
    elif not address.answers(role, method):
        if status != 403:
            yield f"{status}, not 403"
    elif address.is_gone:
        if status != 404:
            yield f"{status}, not 404"
    elif status not in ANSWERED:
        yield f"{status}, though {role} may"
    if THEIRS in text or (status in (403, 404, 405) and OURS in text):
        yield "holds a word of a patient's record"


@pytest.mark.parametrize("role", roles.ROLES)
def test_rows_of_another_clinic_do_not_exist_for_any_role(world, role):
    walker, wrong = Walker(world.users[role]), []
    for address in ADDRESSES:
        if not address.kinds:
            continue
        url = address.at(world.other)
        for method in address.roles:
            expected = 404 if address.answers(role, method) else 403
            for fragment in (False, True):
                status, text = walker.ask(method, url, fragment=fragment)
                if status != expected:
                    wrong.append(f"{place(address, method, fragment)}: {status}")
                if THEIRS in text or OURS in text:
                    wrong.append(f"{place(address, method, fragment)}: leaks")

    assert not wrong, "\n".join(wrong)


def test_signed_out_every_address_leads_to_sign_in(world):
    walker, wrong = Walker(None), []
    for address in ADDRESSES:
        if address.name in PUBLIC:
            continue
        for ids in (world.own | world.mine["nurse"], world.other):
            for method in address.roles:
                for fragment in (False, True):
                    status, text = walker.ask(
                        method, address.at(ids), fragment=fragment
                    )
                    expected = 302 if method == "GET" and not fragment else 401
                    if status != expected:
                        wrong.append(f"{place(address, method, fragment)}: {status}")
                    if THEIRS in text or OURS in text:
                        wrong.append(f"{place(address, method, fragment)}: leaks")

    assert not wrong, "\n".join(wrong)


def test_a_row_of_one_record_is_not_found_under_another(world):
    """The row of visit B, or of another clinic, under the address of visit A."""
    walkers = {role: Walker(user) for role, user in world.users.items()}
    wrong = []
    for address in ADDRESSES:
        if len(address.kinds) < 2:
            continue
        outer, *inner = address.kinds
        for rows in (world.second, world.other):
            mixed = world.own | {kind: rows[kind] for kind in inner}
            for method in address.roles:
                for role, walker in walkers.items():
                    if not address.answers(role, method):
                        continue
                    for fragment in (False, True):
                        status, text = walker.ask(
                            method, address.at(mixed), fragment=fragment
                        )
                        if status != 404 or THEIRS in text:
                            wrong.append(
                                f"{place(address, method, fragment)}: {status}"
                            )

    assert not wrong, "\n".join(dict.fromkeys(wrong))


@pytest.mark.parametrize("role", roles.ROLES)
def test_what_is_one_users_own_is_found_by_nobody_else(world, role):
    walker = Walker(world.users[role])
    for address in ADDRESSES:
        if any(kind.startswith("my ") for kind in address.kinds):
            for other, ids in world.mine.items():
                if other != role:
                    for method in address.roles:
                        status, _ = walker.ask(method, address.at(ids), fragment=False)
                        assert status == 404, place(address, method, False)


def test_lists_and_boards_hold_no_row_of_another_clinic(world):
    """What shows many rows at once shows none of the other clinic's."""
    walker = Walker(world.users["nurse"])
    shown = []
    for address in ADDRESSES:
        if "GET" in address.roles and not address.kinds:
            _, text = walker.ask("GET", address.at(world.own), fragment=False)
            assert THEIRS not in text, address.name
            shown += [address.name] if OURS in text else []

    assert {"board", "patients", "orders"} <= set(shown)


def test_a_visit_of_another_clinic_in_a_query_tells_nothing(world):
    """An id behind the question mark finds no more than one in the address."""
    asked = [address for address in ADDRESSES if address.asked]
    for address in asked:
        walker = Walker(world.users["nurse"])
        for fragment in (False, True):
            _, text = walker.ask("GET", address.at(world.other), fragment=fragment)
            assert THEIRS not in text, address.name

    assert asked


HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def someone_who_may(world: World, address: Address, method: str) -> tuple[str, str]:
    """A role that gets an answer there, and the address of rows it reaches."""
    role = next(role for role in roles.ROLES if address.answers(role, method))
    return role, address.at(world.own | world.mine[role])


def test_every_answer_carries_the_headers_that_guard_a_browser(world):
    walkers = {role: Walker(user) for role, user in world.users.items()}
    for address in ADDRESSES:
        if "GET" not in address.roles:
            continue
        role, url = someone_who_may(world, address, "GET")
        answer = walkers[role].answer("GET", url, fragment=False)
        for name, value in HEADERS.items():
            assert answer.headers.get(name, "").startswith(value), address.name
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy


def test_every_post_without_its_token_is_refused(world):
    walkers = {role: Walker(user, tokens=True) for role, user in world.users.items()}
    for address in ADDRESSES:
        if "POST" not in address.roles or address.name in WITHOUT_TOKEN:
            continue
        role, url = someone_who_may(world, address, "POST")
        for fragment in (False, True):
            status, text = walkers[role].ask("POST", url, fragment=fragment)
            assert status == 403, place(address, "POST", fragment)
            assert OURS not in text


KEPT = {"auditentry", "session", "login", "onlooker"}
"""What looking may write: the audit, when a login was last used, and which page was
last seen by whom (`Onlooker`: the same, for one visit)."""


def test_looking_changes_nothing_but_the_audit(world):
    walkers = {role: Walker(user) for role, user in world.users.items()}
    models = [m for m in apps.get_models() if m._meta.model_name not in KEPT]

    def everything() -> list:
        return [list(model.objects.order_by("pk").values()) for model in models]

    before = everything()
    for address in ADDRESSES:
        if "GET" in address.roles:
            role, url = someone_who_may(world, address, "GET")
            for fragment in (False, True):
                walkers[role].answer("GET", url, fragment=fragment, keep=True)

    assert everything() == before
    assert AuditEntry.objects.filter(action__endswith=".view").exists()
    assert Onlooker.objects.get().session_id == world.own["session"]


def test_a_walker_notices_what_it_looks_for(world):
    """The walk would see a leak: the nurse's own board does hold the word."""
    _, text = Walker(world.users["nurse"]).ask("GET", reverse("board"), fragment=False)

    assert OURS in text
    assert re.search(OURS, text)


def test_a_walker_reads_what_stands_in_a_file(world):
    """A word would be seen in a PDF, and in a workbook, whose bytes are packed."""
    record = reverse("infusion-record-pdf", args=[world.own["session"]])
    _, text = Walker(world.users["nurse"]).ask("GET", record, fragment=False)
    assert OURS in text
    admin, sheet = Walker(world.users["admin"]), reverse("audit-export-xlsx")
    _, text = admin.ask("POST", sheet, fragment=False)
    assert OURS in text
    assert THEIRS not in text
    packed = admin.answer("POST", sheet, fragment=False).content
    assert OURS.encode() not in packed
