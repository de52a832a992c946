"""What stands between a patient and the Start: read, judged, never written here.

The page of Start shows this, and the service that starts asks it again under its lock.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.utils.translation import get_language
from django.utils.translation import gettext as _

from sessions.charts import SessionChart, chart_of, vital_set
from sessions.models import (
    Allergy,
    Answer,
    Consent,
    GateOverride,
    InfusionSession,
    LabResult,
    OrderVersion,
    ProtocolVersion,
    RiskFactor,
    Screening,
    Start,
    Vial,
    VitalSigns,
    Weight,
)
from sessions.rules.assessment import Chart, assess
from sessions.rules.findings import Finding
from sessions.rules.ladders import Rung
from sessions.rules.language import day_words
from sessions.rules.quantities import plain
from sessions.rules.thresholds import Phase
from sessions.services import medicines, order_plans, protocols
from sessions.services.acts import record_language
from sessions.services.gate import (
    HARD,
    TO_DO,
    WARNING,
    WEIGHT_CONFIRMED,
    Hold,
    Passed,
    judge,
    words_found,
)
from sessions.services.todays_plan import Today, plan_of_today
from sessions.services.vials import current_vials, grams_of

logger = logging.getLogger(__name__)

QUESTION_NAMES = (
    "infection_or_fever",
    "headache_after_last",
    "new_clot_or_chest_pain",
    "fluids_taken",
    "new_medicines",
    "live_vaccine",
    "pregnant",
    "emergency_kit_at_chair",
    "history_reviewed",
)
"""The answers of a `Screening`, in the order in which they are asked."""

AS_USUAL = {
    "infection_or_fever": Answer.NO,
    "headache_after_last": Answer.NO,
    "new_clot_or_chest_pain": Answer.NO,
    "fluids_taken": Answer.YES,
    "new_medicines": Answer.NO,
    "live_vaccine": Answer.NO,
    "pregnant": Answer.NO,
    "emergency_kit_at_chair": Answer.YES,
    "history_reviewed": Answer.YES,
}
"""What "all as usual" attests, in one tap, each word of it on the screen."""


@dataclass(slots=True, kw_only=True)
class Preparation:
    """One visit before its Start: what is known, what is done, what holds."""

    session: InfusionSession
    at: datetime
    chart: SessionChart
    version: OrderVersion
    protocol: ProtocolVersion | None
    weights: list[Weight]
    weight_confirmed: GateOverride | None
    allergies: list[Allergy]
    risk_factors: dict[str, RiskFactor]
    labs: dict[str, list[LabResult]]
    consent: Consent | None
    last_start: Start | None
    last_chart: SessionChart | None
    offers: list[medicines.Offer]
    vials: list[Vial]
    today: Today | None
    fault: str
    baseline_findings: tuple[Finding, ...] | None
    holds: list[Hold] = field(default_factory=list)
    passed: list[Passed] = field(default_factory=list)

    # what is done

    @property
    def weight(self) -> Weight | None:
        return self.weights[0] if self.weights else None

    @property
    def weight_before(self) -> Weight | None:
        return self.weights[1] if len(self.weights) > 1 else None

    @property
    def weight_is_new(self) -> bool:
        """Measured on the clinic's day of this visit."""
        clinic = self.session.clinic
        return bool(self.weight) and (
            clinic.day_of(self.weight.event_time) == clinic.day_of(self.at)
        )

    @property
    def weight_change(self) -> order_plans.WeightChange | None:
        if self.weight is None:
            return None
        return order_plans.weight_change(self.version, self.weight.weight_kg)

    @property
    def identity(self):
        return self.chart.identity

    @property
    def screening(self) -> Screening | None:
        return self.chart.screening

    @property
    def line(self):
        return self.chart.line

    @property
    def baseline(self) -> VitalSigns | None:
        return self.chart.baseline

    @property
    def held_g(self) -> Decimal:
        return grams_of(self.vials)

    @property
    def missing_g(self) -> Decimal:
        return max(Decimal(0), self.version.given_g - self.held_g)

    @property
    def planned_vials_g(self) -> list[Decimal]:
        return [Decimal(size) for size in self.version.plan.get("vials_g", ())]

    @property
    def vials_to_come_g(self) -> list[Decimal]:
        """The sizes of the ordered vial set that are not at the chair yet."""
        left = list(self.planned_vials_g)
        for vial in self.vials:
            if vial.grams in left:
                left.remove(vial.grams)
        return left if self.missing_g else []

    @property
    def before(self) -> list[medicines.Offer]:
        return [offer for offer in self.offers if offer.ordered.purpose == "before"]

    @property
    def start_from(self) -> datetime | None:
        """The earliest Start that leaves every premedication its ordered time."""
        moments = [offer.start_from for offer in self.before if offer.start_from]
        return max(moments, default=None)

    @property
    def rungs(self) -> tuple[Rung, ...]:
        return self.today.plan.rungs if self.today else ()

    @property
    def steps(self) -> tuple[Rung, ...]:
        return self.today.plan.steps if self.today else ()

    @property
    def first_rung(self) -> Rung | None:
        return self.rungs[0] if self.rungs else None

    @property
    def total_ml(self) -> Decimal | None:
        return self.today.plan.volume_ml if self.today else None

    @property
    def ends_at(self) -> datetime | None:
        """The projected end if it were started now."""
        if self.today is None:
            return None
        return self.at + timedelta(seconds=int(self.today.plan.duration_minutes * 60))

    def of_kind(self, kind: str) -> list[Hold]:
        return [hold for hold in self.holds if hold.kind == kind]

    @property
    def to_do(self) -> list[Hold]:
        return self.of_kind(TO_DO)

    @property
    def hard(self) -> list[Hold]:
        return self.of_kind(HARD)

    @property
    def warnings(self) -> list[Hold]:
        return self.of_kind(WARNING)

    def held(self, item: str) -> list[Hold]:
        return [hold for hold in self.holds if hold.item == item]

    def document(self) -> dict[str, Any]:
        """What the gate looked like at the Start, as the Start keeps it."""
        return {
            "passed": [
                {
                    "rule": each.hold.rule,
                    "kind": each.hold.kind,
                    "found": each.hold.text,
                    "reason": each.override.reason_code,
                    "text": each.override.reason_text,
                    "by": str(each.override.recorded_by),
                }
                for each in self.passed
            ],
            "baseline": self.baseline.pk if self.baseline else None,
            "identity": self.identity.pk if self.identity else None,
            "screening": self.screening.pk if self.screening else None,
            "line": self.line.pk if self.line else None,
            "consent": self.consent.pk if self.consent else None,
            "vials": [vial.pk for vial in self.vials],
            "allergies": [_allergy_words(row) for row in self.allergies]
            or [_("not recorded")],
        }


def prepare(session: InfusionSession, *, at: datetime) -> Preparation:
    """Read everything the Start depends on, and judge it."""
    prepared, recorded = _read(session, at=at), None
    overrides = prepared.chart.overrides
    if overrides and get_language() != session.clinic.language:
        # They keep what was found in the words of the record.
        with record_language(session.clinic):
            recorded = words_found(_read(session, at=at))
    prepared.holds, prepared.passed = judge(prepared, overrides, recorded)
    return prepared


def _read(session: InfusionSession, *, at: datetime) -> Preparation:
    """Everything the Start depends on, not judged yet."""
    patient, clinic = session.patient, session.clinic
    version = session.order_version
    protocol = protocols.in_force(clinic)
    chart = chart_of(session, at=at)
    weights = list(
        patient.weights.current()
        .filter(event_time__lte=at)
        .select_related("recorded_by")
        .order_by("-event_time", "-id")[:6]
    )
    last = _last_start(session, at=at)
    made, fault = plan_of_today(session, version, protocol, last, at=at)
    return Preparation(
        session=session,
        at=at,
        chart=chart,
        version=version,
        protocol=protocol,
        weights=weights,
        weight_confirmed=_confirmation(chart.overrides, weights),
        allergies=list(Allergy.objects.filter(patient=patient).current()),
        risk_factors={
            row.key: row
            for row in RiskFactor.objects.filter(patient=patient)
            .current()
            .order_by("event_time", "id")
        },
        labs=_labs(session, at=at),
        consent=Consent.objects.filter(patient=patient, event_time__lte=at)
        .current()
        .order_by("-event_time", "-id")
        .first(),
        last_start=last,
        last_chart=chart_of(last.session, at=at) if last else None,
        offers=medicines.offers(session, at=at),
        vials=current_vials(session),
        today=made,
        fault=fault,
        baseline_findings=_baseline_findings(chart),
    )


def is_assessed(session: InfusionSession, *, at: datetime) -> bool:
    """Whether identity, weight and checks are done: then the visit is assessed (C1)."""
    weights = list(
        session.patient.weights.current()
        .filter(event_time__lte=at)
        .order_by("-event_time", "-id")[:1]
    )
    if not weights:
        return False
    overrides = list(GateOverride.objects.filter(session=session).current())
    clinic = session.clinic
    weighed = clinic.day_of(weights[0].event_time) == clinic.day_of(at)
    return (
        (weighed or _confirmation(overrides, weights) is not None)
        and session.identitychecks.current().exists()
        and session.screenings.current().exists()
    )


def weight_words(weight: Weight, zone) -> str:
    """The weight a confirmation speaks about: another one is not confirmed by it."""
    measured = weight.event_time.astimezone(zone)
    return _("{weight_kg} kg of {measured}").format(
        weight_kg=plain(weight.weight_kg), measured=day_words(measured)
    )


def _last_start(session: InfusionSession, *, at: datetime) -> Start | None:
    """The patient's last infusion before this one; withdrawn visits do not count."""
    return (
        Start.objects.current()
        .filter(
            session__patient=session.patient,
            session__entered_in_error=False,
            event_time__lte=at,
        )
        .exclude(session=session)
        .select_related("order_version", "session__clinic", "session__patient")
        .order_by("-event_time")
        .first()
    )


def _confirmation(
    overrides: Iterable[GateOverride], weights: list[Weight]
) -> GateOverride | None:
    """That somebody confirmed the newest weight on record for this visit."""
    if not weights:
        return None
    clinic = weights[0].clinic
    with record_language(clinic):
        wanted = weight_words(weights[0], clinic.zone)
    return next(
        (
            row
            for row in overrides
            if row.rule == WEIGHT_CONFIRMED and row.found == wanted
        ),
        None,
    )


def _labs(session: InfusionSession, *, at: datetime) -> dict[str, list[LabResult]]:
    """Results by test, the newest first."""
    found: dict[str, list[LabResult]] = {}
    rows = (
        LabResult.objects.filter(patient=session.patient, event_time__lte=at)
        .current()
        .order_by("-event_time", "-id")
    )
    for row in rows:
        found.setdefault(row.test, []).append(row)
    return found


def _baseline_findings(chart: SessionChart) -> tuple[Finding, ...] | None:
    """What the rules say of the baseline; None when they could not speak (I15)."""
    row = chart.baseline
    if row is None:
        return ()
    if chart.policy is None:
        return None
    patient = chart.session.patient
    day = chart.session.clinic.day_of(row.event_time)
    try:
        return assess(
            Chart(
                age_years=Decimal(patient.age_on(day)),
                pregnant=chart.is_pregnant,
                phase=Phase.BASELINE,
                vitals=vital_set(row),
            ),
            chart.policy,
        ).findings
    except Exception:
        logger.exception("the baseline could not be judged")
        return None


def _allergy_words(row: Allergy) -> str:
    if row.none_known:
        return _("none known")
    return f"{row.substance}: {row.reaction}" if row.reaction else row.substance
