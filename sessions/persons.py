"""What is known of one patient at one moment, each value with its age and history.

The patient page, the banner and the forms read a patient through this module; it reads
and never writes. Corrected and withdrawn rows count nowhere but in the history.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any

from django.utils.translation import gettext as _

from sessions.catalogue.default_protocol import default_policy
from sessions.catalogue.gate import risk_factors
from sessions.catalogue.labs import LabTest, lab_tests, unit_words
from sessions.catalogue.products import products
from sessions.models import (
    CLOSED_ORDERS,
    Allergy,
    Clinic,
    Consent,
    Height,
    InfusionSession,
    LabResult,
    Order,
    OrderVersion,
    Patient,
    PatientRow,
    Presence,
    ProtocolVersion,
    RiskFactor,
    Weight,
)
from sessions.rules.bodies import age_years, change_percent, is_over_65
from sessions.rules.dosing import Body, DosingError, DosingWeight, dosing_weight
from sessions.rules.language import inside, say
from sessions.rules.names import Named
from sessions.rules.policy import Policy
from sessions.rules.quantities import plain
from sessions.rules.screening import RiskFactor as Factor
from sessions.rules.sources import DocumentError

OVER_65 = "over_65"
NOT_O = "blood_group_not_o"
"""Risk factors that nobody has to ask about: they follow from what is on record."""
TREND = 12
"""How many of the newest weights the trend draws."""


@dataclass(slots=True, kw_only=True)
class History:
    """One table of a patient's rows: those that count, and those that no longer do."""

    current: list[Any]
    gone: list[Any]
    """Corrected or withdrawn rows, newest first; each has `replaced_by`, what came."""
    newest_id: int = 0
    """The id of the row written last, withdrawals included."""

    @property
    def newest(self) -> Any:
        """The row whose event is the latest; None when there is none."""
        return self.current[0] if self.current else None


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorState:
    """One risk factor of the catalogue with what is known of it."""

    factor: Factor
    presence: str
    row: RiskFactor | None
    computed: str = ""
    """Why it is so when nobody had to say it: the age, for one."""

    @property
    def words(self) -> str:
        return str(Presence(self.presence).label)

    @property
    def is_present(self) -> bool:
        return self.presence == Presence.PRESENT

    @property
    def is_settled(self) -> bool:
        """Known to be absent; what nobody asked is not (H27)."""
        return self.presence == Presence.ABSENT

    @property
    def products(self) -> list[str]:
        """Brands it speaks about; empty when it speaks about all."""
        known = products()
        return [known[key].brand for key in self.factor.products if key in known]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabState:
    """One test with its newest result, and whether it still counts."""

    test: LabTest
    row: LabResult | None
    days_old: int | None

    @property
    def is_old(self) -> bool:
        """Older than its window; one without a window never is."""
        if self.days_old is None or self.test.valid_days is None:
            return False
        return self.days_old > self.test.valid_days

    @property
    def value(self) -> str:
        return lab_value(self.row) if self.row else ""


def lab_value(row: LabResult) -> str:
    """`88 µmol/L`, or the word of a test that is no number."""
    if row.value is None:
        return say(row.value_text)
    return f"{plain(row.value)} {unit_words(row.unit)}".strip()


@dataclass(kw_only=True)
class Person:
    """A patient with everything recorded about the body and the risks."""

    patient: Patient
    clinic: Clinic
    at: datetime
    policy: Policy
    weights: History
    heights: History
    allergies: History
    factors: History
    labs: History
    consents: History
    orders: list[Order] = field(default_factory=list)
    sessions: list[InfusionSession] = field(default_factory=list)

    @property
    def today(self) -> date:
        return self.at.astimezone(self.clinic.zone).date()

    @property
    def years(self) -> int:
        return max(0, age_years(self.patient.birth_date, self.today))

    # weight

    @property
    def weight(self) -> Weight | None:
        return self.weights.newest

    def days_since(self, row: PatientRow | None) -> int | None:
        """Days of the clinic's calendar since a row's event."""
        if row is None:
            return None
        return (self.today - row.event_time.astimezone(self.clinic.zone).date()).days

    @property
    def weight_days(self) -> int | None:
        return self.days_since(self.weight)

    @property
    def weight_is_old(self) -> bool:
        """Older than the clinic allows: to be measured again (H2)."""
        days = self.weight_days
        return days is not None and days > self.clinic.weight_valid_days

    @property
    def most_change_percent(self) -> Decimal:
        return self.policy.dosing.weight.change_percent.value

    @property
    def changed_orders(self) -> list[tuple[Order, str]]:
        """Open orders whose weight differs by their own protocol's percentage (A4)."""
        if self.weight is None:
            return []
        found = []
        for order in self.orders:
            version = order.current
            if version is None or order.status in CLOSED_ORDERS:
                continue
            change = change_percent(self.weight.weight_kg, version.weight_kg)
            if abs(change) >= _most_change_percent(version):
                found.append((order, plain(abs(change), 1)))
        return found

    @property
    def weight_rows(self) -> list[tuple[Weight, str]]:
        """Each weight with its change from the one before, `+2 kg`."""
        rows = self.weights.current
        older = [*rows[1:], None]
        return [
            (row, _change(row, before)) for row, before in zip(rows, older, strict=True)
        ]

    @cached_property
    def trend(self) -> list[tuple[str, str]]:
        """The newest weights as points in a box of 600 × 60, oldest first."""
        return trend_points(list(reversed(self.weights.current[:TREND])))

    # body

    @property
    def height(self) -> Height | None:
        return self.heights.newest

    @cached_property
    def body(self) -> DosingWeight | None:
        """Actual, ideal and adjusted weight with their exclusions; None unweighed."""
        if self.weight is None:
            return None
        body = Body(
            weight_kg=self.weight.weight_kg,
            height_cm=self.height.height_cm if self.height else None,
            sex=self.patient.sex,
            age_years=self.years,
            pregnant=self.is_pregnant,
        )
        try:
            return dosing_weight(body, self.policy.dosing.dosing_weight)
        except DosingError:
            return dosing_weight(body, self.policy.dosing.dosing_weight, basis="actual")

    # what is known

    @cached_property
    def known(self) -> dict[str, RiskFactor]:
        """The newest statement about each risk factor."""
        return {row.key: row for row in reversed(self.factors.current)}

    @cached_property
    def risk_factors(self) -> list[FactorState]:
        """Every factor of the catalogue, those present first.

        What nobody asked is not known, never no (H27).
        """
        states = [self._state(factor) for factor in risk_factors().values()]
        return sorted(states, key=lambda state: not state.is_present)

    def _state(self, factor: Factor) -> FactorState:
        computed = self._computed(factor.key)
        if computed:
            holds, because = computed
            presence = Presence.PRESENT if holds else Presence.ABSENT
            return FactorState(
                factor=factor, presence=presence, row=None, computed=because
            )
        row = self.known.get(factor.key)
        presence = row.presence if row else Presence.UNKNOWN
        return FactorState(factor=factor, presence=presence, row=row)

    def _computed(self, key: str) -> tuple[bool, str] | None:
        """Whether a factor holds and why; None when somebody must be asked."""
        if key == OVER_65:
            over = is_over_65(self.patient.birth_date, self.today)
            return over, _("{years} years old").format(years=self.years)
        if key == NOT_O:
            rows = (row for row in self.labs.current if row.test == "blood_group")
            group = next(rows, None)
            if group is not None:
                return group.value_text[:1] != "O", _("group {value_text}").format(
                    value_text=group.value_text
                )
        return None

    @property
    def present(self) -> list[FactorState]:
        return [state for state in self.risk_factors if state.is_present]

    @property
    def open_risks(self) -> list[FactorState]:
        """Factors that are present, or not known to be absent."""
        return [state for state in self.risk_factors if not state.is_settled]

    @property
    def absent_risks(self) -> list[FactorState]:
        return [state for state in self.risk_factors if state.is_settled]

    @property
    def unasked(self) -> int:
        """How many factors nobody has said anything about."""
        return sum(not state.row and not state.computed for state in self.risk_factors)

    @property
    def statements_version(self) -> int:
        """The id of the newest statement about a risk factor; 0 without any."""
        return self.factors.newest_id

    @property
    def pregnancy(self) -> RiskFactor | None:
        return self.known.get(RiskFactor.PREGNANCY)

    @property
    def is_pregnant(self) -> bool | None:
        """True, False, or None when nobody knows."""
        row = self.pregnancy
        if row is None or row.presence == Presence.UNKNOWN:
            return None
        return row.presence == Presence.PRESENT

    @property
    def lab_states(self) -> list[LabState]:
        newest: dict[str, LabResult] = {}
        for row in self.labs.current:
            newest.setdefault(row.test, row)
        return [
            LabState(
                test=test,
                row=newest.get(key),
                days_old=self.days_since(newest.get(key)),
            )
            for key, test in lab_tests().items()
        ]

    @property
    def older_labs(self) -> list[LabResult]:
        """Results that count but are not the newest of their test."""
        newest = {state.row.pk for state in self.lab_states if state.row}
        return [row for row in self.labs.current if row.pk not in newest]

    @property
    def consent(self) -> Consent | None:
        """The newest word on consent, given or refused."""
        return self.consents.newest

    @property
    def consent_counts(self) -> bool:
        row = self.consent
        return row is not None and row.given and row.expires_on >= self.today

    def gone(self, *, pregnancy: bool) -> list[RiskFactor]:
        """Risk factors that a newer statement replaced, those of pregnancy apart."""
        rows = self.factors.gone
        return [row for row in rows if (row.key == RiskFactor.PREGNANCY) is pregnancy]

    @property
    def gone_pregnancy(self) -> list[RiskFactor]:
        return self.gone(pregnancy=True)

    @property
    def gone_risks(self) -> list[RiskFactor]:
        return self.gone(pregnancy=False)

    @property
    def banner(self) -> dict[str, Any]:
        """Context of the banner, from the same rows as the page."""
        return {
            "patient": self.patient,
            "allergies": self.allergies.current,
            "weight": self.weight,
            "risks": ", ".join(say(state.factor.label) for state in self.present),
        }


def named(patient: Patient) -> Named:
    """What tells this patient from another."""
    return Named(
        family_name=patient.family_name,
        given_names=patient.given_names,
        birth_date=patient.birth_date,
    )


def person_of(patient: Patient, *, clinic: Clinic, at: datetime) -> Person:
    """Read one patient whole; a constant number of queries."""
    return Person(
        patient=patient,
        clinic=clinic,
        at=at,
        policy=policy_of(clinic),
        weights=_history(Weight, patient, clinic),
        heights=_history(Height, patient, clinic),
        allergies=_history(Allergy, patient, clinic),
        factors=_history(RiskFactor, patient, clinic),
        labs=_history(LabResult, patient, clinic),
        consents=_history(Consent, patient, clinic),
        orders=list(
            Order.objects.of(clinic)
            .filter(patient=patient)
            .select_related("current__protocol_version__protocol")
            .defer("current__plan", "current__protocol_version__document")
        ),
        sessions=list(
            InfusionSession.objects.of(clinic)
            .filter(patient=patient)
            .with_order_version()
            .select_related("chair", "nurse")
        ),
    )


def _most_change_percent(version: OrderVersion) -> Decimal:
    """The limit of the protocol an order was made under; none allowed if unreadable."""
    try:
        return version.protocol_version.policy.dosing.weight.change_percent.value
    except (DocumentError, ValueError):
        return Decimal(0)


def policy_of(clinic: Clinic) -> Policy:
    """The clinic's policy in force, or the shipped draft before it approved one."""
    version = ProtocolVersion.objects.of(clinic).in_force().first()
    return version.policy if version else default_policy()


def _history(model: type[PatientRow], patient: Patient, clinic: Clinic) -> History:
    rows = list(
        model.objects.filter(patient=patient)
        .select_related("recorded_by")
        .order_by("-event_time", "-pk")
    )
    for row in rows:
        row.words = in_words(row)
        row.late = row.is_late(clinic.late_entry_minutes)
    return split(rows)


def in_words(row: PatientRow) -> str:
    """What a row says, in one line, as the history and the corrections show it."""
    if isinstance(row, Weight):
        return f"{plain(row.weight_kg)} kg"
    if isinstance(row, Height):
        return f"{plain(row.height_cm)} cm"
    if isinstance(row, LabResult):
        test = lab_tests().get(row.test)
        return f"{say(test.name) if test else row.test} {lab_value(row)}"
    if isinstance(row, Consent):
        word = _("Given") if row.given else _("Refused")
        return f"{word}: {row.scope}"
    if isinstance(row, Allergy):
        if row.none_known:
            return _("No allergy known")
        parts = [
            row.reaction,
            "" if row.severity == "unknown" else row.get_severity_display(),
        ]
        return ": ".join(filter(None, [row.substance, ", ".join(filter(None, parts))]))
    factor = risk_factors().get(row.key)
    name = say(factor.label if factor else row.key.replace("_", " ").capitalize())
    answer = f"{name}: {inside(row.get_presence_display())}"
    return f"{answer}, {row.detail}" if row.detail else answer


def split(rows: Iterable[Any]) -> History:
    """Part rows that count from those corrected or withdrawn since."""
    rows = list(rows)
    newer = {row.supersedes_id: row for row in rows if row.supersedes_id}
    for row in rows:
        row.replaced_by = newer.get(row.pk)
    return History(
        current=[r for r in rows if r.replaced_by is None and not r.entered_in_error],
        gone=[r for r in rows if r.replaced_by is not None],
        newest_id=max((row.pk for row in rows), default=0),
    )


def _change(row: Weight, before: Weight | None) -> str:
    if before is None:
        return ""
    change = row.weight_kg - before.weight_kg
    sign = "+" if change > 0 else "−" if change < 0 else ""
    return f"{sign}{plain(abs(change))} kg"


WIDTH, HEIGHT = Decimal(600), Decimal(60)


def trend_points(rows: list[Weight]) -> list[tuple[str, str]]:
    """Where each weight stands in a box of 600 × 60; time runs to the right."""
    weights = [row.weight_kg for row in rows]
    if len(set(weights)) < 2:
        return []  # a straight line says nothing that the table does not
    low, span = min(weights), max(weights) - min(weights)
    first = rows[0].event_time
    length = Decimal((rows[-1].event_time - first).total_seconds()) or Decimal(1)
    points = []
    for row in rows:
        since = Decimal((row.event_time - first).total_seconds())
        across = since * WIDTH / length
        down = HEIGHT - (row.weight_kg - low) * HEIGHT / span
        points.append((plain(across, 2), plain(down, 2)))
    return points
