"""The gate before Start: what holds it, and what somebody passed and signed for."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from sessions.catalogue.gate import gate_catalogue
from sessions.catalogue.labs import lab_tests
from sessions.catalogue.products import products
from sessions.charts import vital_set
from sessions.models import (
    Answer,
    GateOverride,
    InfusionSession,
    OrderStatus,
    OrderVersion,
    Presence,
    RiskFactor,
    Sex,
    Signature,
)
from sessions.rules.findings import Finding
from sessions.rules.language import day_words, inside, say
from sessions.rules.policy import Policy
from sessions.rules.quantities import exact, plain, to_decimal
from sessions.rules.screening import (
    GateCatalogue,
    GateFacts,
    PremedicationFact,
    VialFact,
    gate,
)
from sessions.rules.thresholds import Reading
from sessions.services import orders
from sessions.services.recalls import recalled_among

if TYPE_CHECKING:
    from sessions.services.preparation import Preparation

logger = logging.getLogger(__name__)

WEIGHT_CONFIRMED = "weight-confirmed"

FOUND_LETTERS = 1000
"""How much of what a rule found an override keeps."""

TO_DO, HARD, WARNING = "to_do", "hard", "warning"
"""Not done yet; stopped until a prescriber signs; held until somebody says why."""

NEVER_PASSED = {
    "identity",
    "order_current",
    "protocol_approved",
    "history_reviewed",
    "emergency_kit",
    "vials_recorded",
    "vials_expired",
    "vials_product",
    "vials_dose",
    "vials_inspected",
    "weight_missing",
    "baseline_age",
    "pump_read_back",
    "pregnancy_unknown",
}
"""Checks that are done, not overridden: no signature stands for a missing vial."""

ITEM_OF = {
    "identity": "identity",
    "line": "line",
    "height": "weight",
    "several_lots": "vials",
    "premedication_given": "premedication",
    "premedication_wait": "premedication",
    "pump_read_back": "pump",
    "order_current": "order",
    "protocol_approved": "order",
    "rate_table": "order",
    "indication": "order",
}
ITEMS = (
    *("order", "identity", "weight", "checks", "line"),
    *("premedication", "vials", "baseline", "pump"),
)
"""Places on the page of Start, in the order of the work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """One thing that holds the Start, and where on the page it is done.

    `kind` is `to_do`, `hard` or `warning`; `due_at` is set where only time is needed.
    """

    rule: str
    kind: str
    item: str
    text: str
    calls_for: str = ""
    clears: str = ""
    source: str = ""
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """A warning or hard stop that somebody passed, and with which reason."""

    hold: Hold
    override: GateOverride


def judge(
    prepared: "Preparation",
    overrides: list[GateOverride],
    recorded: Mapping[str, str] | None = None,
) -> tuple[list[Hold], list[Passed]]:
    """What holds the Start, in the order of the work, and what was passed.

    `recorded` are the words of the holds in the record's language, by their rule, where
    another one is spoken now: what an override keeps is compared with them.
    """
    holds, passed = [], []
    signed = _signed(overrides)
    for hold in _found(prepared):
        words = hold.text if recorded is None else recorded.get(hold.rule, "")
        override = _override_of(hold, words, overrides, signed)
        if override is None:
            holds.append(hold)
        else:
            passed.append(Passed(hold=hold, override=override))
    return sorted(holds, key=lambda hold: ITEMS.index(hold.item)), passed


def words_found(prepared: "Preparation") -> dict[str, str]:
    """What is found now, by its rule, in the language that is spoken just now."""
    return {hold.rule: hold.text for hold in _found(prepared)}


def _found(prepared: "Preparation") -> Iterable[Hold]:
    yield from _own_holds(prepared)
    yield from _gate_holds(prepared)


def _signed(overrides: list[GateOverride]) -> set[int]:
    """The overrides that carry a signature; only these pass a hard stop."""
    return set(
        Signature.objects.filter(
            gate_override__in=overrides, meaning=Signature.Meaning.OVERRODE
        ).values_list("gate_override_id", flat=True)
    )


def _override_of(
    hold: Hold, words: str, overrides: list[GateOverride], signed: set[int]
) -> GateOverride | None:
    if hold.kind == TO_DO:
        return None
    for row in reversed(overrides):
        if row.rule != hold.rule:
            continue
        if hold.kind == WARNING:
            return row
        # A hard stop that finds something else than was signed for holds again.
        if row.pk in signed and row.found == words[:FOUND_LETTERS]:
            return row
    return None


def _own_holds(prepared: "Preparation") -> Iterable[Hold]:
    """What the record itself asks for, before any clinical rule speaks."""
    session, version = prepared.session, prepared.version
    order = session.order
    day = session.clinic.day_of(prepared.at)
    if order.status != OrderStatus.ACTIVE:
        yield _to_do(
            "order-status",
            "order",
            _("The order is {status}").format(
                status=inside(order.get_status_display())
            ),
            clears=_("an active order"),
        )
    if version.expires_on < day:
        yield _to_do(
            "order-expired",
            "order",
            _("The order expired on {expires_on}").format(
                expires_on=day_words(version.expires_on)
            ),
            clears=_("a renewed order"),
        )
    if _countersignature_late(version, prepared.at):
        yield Hold(
            rule="order-countersign",
            kind=HARD,
            item="order",
            text=_("The telephone order was not countersigned in time"),
            clears=_("the prescriber's countersignature"),
        )
    if prepared.fault:
        yield _to_do("plan", "order" if prepared.weights else "weight", prepared.fault)
    signed_for = {stop["code"] for stop in orders.hard_stops(version)}
    for warning in prepared.today.plan.hard_stops if prepared.today else ():
        if warning.code in signed_for:
            continue  # overridden with a signature when the order was signed
        yield Hold(
            rule=f"plan-{warning.code}"[:40],
            kind=HARD,
            item="order",
            text=warning.text,
            source=warning.source.label,
        )
    if prepared.weight and not (prepared.weight_is_new or prepared.weight_confirmed):
        yield _to_do(
            WEIGHT_CONFIRMED,
            "weight",
            _weight_words(prepared),
            clears=_("a weight of today, or the last one confirmed"),
        )
    for vial in recalled_among(prepared.session.clinic, prepared.vials):
        yield _to_do(
            f"recall-{vial.pk}",
            "vials",
            _("Lot {lot} was recalled").format(lot=vial.lot),
            clears=_("this vial taken back, another lot in its place"),
        )
    if prepared.screening is None:
        yield _to_do("checks", "checks", _("Checks not attested"))
    if prepared.line is None:
        yield _to_do("line", "line", _("Line not recorded"))
    if prepared.baseline is None:
        yield _to_do("baseline", "baseline", _("Baseline vitals not saved"))


def _weight_words(prepared: "Preparation") -> str:
    clinic = prepared.session.clinic
    days = clinic.days_between(prepared.weight.event_time, prepared.at)
    if days > clinic.weight_valid_days:
        return _("Weight is {days} days old: measure or confirm it").format(days=days)
    return _("Weight not measured or confirmed today")


def _countersignature_late(version: OrderVersion, at: datetime) -> bool:
    if not version.by_telephone or version.countersign_by is None:
        return False
    if version.countersign_by > at:
        return False
    return not version.signatures.filter(
        meaning=Signature.Meaning.COUNTERSIGNED
    ).exists()


def _to_do(rule: str, item: str, text: str, *, clears: str = "") -> Hold:
    return Hold(rule=rule, kind=TO_DO, item=item, text=text, clears=clears)


def _gate_holds(prepared: "Preparation") -> Iterable[Hold]:
    """What the gate's rules find in the facts of this visit."""
    try:
        policy = (prepared.protocol or prepared.version.protocol_version).policy
        result = gate(
            gate_facts(prepared),
            _under_policies(prepared, policy),
            policy.monitoring.lab_thresholds,
        )
    except Exception:
        logger.exception("the gate could not be judged")
        yield _to_do(
            "gate",
            "order",
            _(
                "CHECK NOT DONE: the checks before Start could not run. "
                "Start is not possible; ask the charge nurse"
            ),
        )
        return
    for finding in (*result.hard, *result.warnings):
        hold = _hold_of(prepared, finding)
        if hold is not None:
            yield hold


def _under_policies(prepared: "Preparation", policy: Policy) -> GateCatalogue:
    """The gate's checks, with the limits that a protocol of the clinic sets itself.

    A changed weight is held against the protocol that the order was made under.
    """
    ordered = prepared.version.protocol_version.policy.dosing
    own = {
        "weight_missing": policy.dosing.weight.outer_limit_days,
        "weight_changed": ordered.weight.change_percent,
        "baseline_age": policy.monitoring.schedule.baseline_valid_minutes,
    }
    catalogue = gate_catalogue()
    return replace(
        catalogue,
        checks=tuple(
            replace(check, limit=own[check.key].value, source=own[check.key].source)
            if check.key in own
            else check
            for check in catalogue.checks
        ),
    )


SAID_ELSEWHERE = {
    "order_current",
    "protocol_approved",
    "weight_missing",
    "weight_stale",
    "pump_read_back",
    "pregnancy_unknown",
}
"""Findings for which the record's own holds have better words, or another place."""


def _hold_of(prepared: "Preparation", finding: Finding) -> Hold | None:
    key = finding.series
    if key in SAID_ELSEWHERE and not (key == "weight_missing" and prepared.weights):
        return None
    if key.startswith("baseline") and prepared.baseline is None:
        return None
    if key == "line" and prepared.line is None:
        return None
    unanswered = bool(finding.missing)
    if prepared.screening is None and unanswered and _item(key) == "checks":
        return None  # said once: the checks are not attested
    if key == "vials_recorded" and not prepared.vials:
        return None  # said once: the grams that are missing
    kind = HARD if finding.holds_start else WARNING
    if key in NEVER_PASSED or (unanswered and finding.holds_start):
        kind = TO_DO
    return Hold(
        rule=finding.rule,
        kind=kind,
        item=_item(key),
        text=_words(prepared, finding),
        calls_for=finding.calls_for,
        clears=finding.clears,
        source=finding.source.label,
        due_at=prepared.start_from if key == "premedication_wait" else None,
    )


def _item(key: str) -> str:
    if key in ITEM_OF:
        return ITEM_OF[key]
    for start in ("vials", "weight", "baseline"):
        if key.startswith(start):
            return start
    return "checks"


def _words(prepared: "Preparation", finding: Finding) -> str:
    """The finding in a nurse's words, where the rule's are too short for a list."""
    if finding.series == "identity":
        return _("Identity not checked")
    if finding.series == "vials_dose":
        return _("Vials: {missing_g} g missing").format(
            missing_g=plain(prepared.missing_g)
        )
    if finding.series == "premedication_wait" and prepared.start_from:
        local = prepared.start_from.astimezone(prepared.session.clinic.zone)
        return _("Premedication: earliest Start {local}").format(local=f"{local:%H:%M}")
    return finding.because


def gate_facts(prepared: "Preparation") -> GateFacts:
    """Everything the gate looks at, taken from the rows of this visit."""
    session, version = prepared.session, prepared.version
    patient, at, clinic = session.patient, prepared.at, session.clinic
    day = clinic.day_of(at)
    weight, first = prepared.weight, prepared.first_rung
    pregnancy = _pregnant(prepared)
    baseline = prepared.baseline
    return GateFacts(
        today=day,
        age_years=Decimal(patient.age_on(day)),
        attested=_attested(prepared),
        product=version.product_key,
        product_names={key: each.brand for key, each in products().items()},
        planned_g=version.given_g,
        dose_g_per_kg=version.dose_g_per_kg or None,
        vials=tuple(
            VialFact(
                product=vial.product_key,
                grams=vial.grams,
                lot=vial.lot,
                expires_on=vial.expiry,
            )
            for vial in prepared.vials
        ),
        weight_kg=weight.weight_kg if weight else None,
        weight_age_days=clinic.days_between(weight.event_time, at) if weight else None,
        order_weight_kg=version.weight_kg,
        height_needed=version.weight_basis != "actual",
        height_known=version.height_cm is not None,
        consent_age_days=_consent_age(prepared),
        lab_age_days=_lab_ages(prepared),
        lab_readings=_lab_readings(prepared),
        risk_factors={
            key: {Presence.PRESENT: True, Presence.ABSENT: False}.get(row.presence)
            for key, row in prepared.risk_factors.items()
        }
        | dict.fromkeys(prepared.today.risks if prepared.today else (), True),
        answers=_answers(prepared),
        blood_group=_blood_group(prepared),
        first_infusion=bool(prepared.today and prepared.today.first_infusion),
        brand_switch=bool(prepared.today and prepared.today.brand_switch),
        long_gap=bool(prepared.today and prepared.today.long_gap),
        pregnant=pregnancy,
        supervisor=_supervisor(prepared),
        baseline=vital_set(baseline),
        baseline_age_minutes=_minutes(at - baseline.event_time) if baseline else None,
        baseline_findings=prepared.baseline_findings,
        premedications=tuple(
            PremedicationFact(
                name=offer.ordered.name,
                wait_minutes=Decimal(offer.ordered.minutes_before or 0),
                minutes_ago=_minutes(at - offer.given[-1].event_time)
                if offer.given
                else None,
            )
            for offer in prepared.before
        ),
        # Read back with the press of Start itself, and compared there.
        planned_ml_per_h=first.pump_ml_per_h if first else None,
        pump_shows_ml_per_h=first.pump_ml_per_h if first else None,
    )


def _minutes(span: timedelta) -> Decimal:
    return Decimal(int(span.total_seconds() // 60))


def _attested(prepared: "Preparation") -> Mapping[str, bool]:
    screening, order = prepared.screening, prepared.session.order
    kit = bool(screening) and screening.emergency_kit_at_chair == Answer.YES
    reviewed = bool(screening) and screening.history_reviewed == Answer.YES
    return {
        "identity": prepared.identity is not None,
        "order_current": order.status == OrderStatus.ACTIVE,
        "protocol_approved": prepared.protocol is not None,
        "history_reviewed": reviewed,
        "last_reaction_reviewed": reviewed,
        "indication": True,
        "vials_inspected": all(vial.looks_right for vial in prepared.vials),
        "rate_table": prepared.today is not None,
        "line": prepared.line is not None,
        "emergency_kit": kit,
        "responder": kit,
    }


YES_NO = {Answer.YES: True, Answer.NO: False}


def _answers(prepared: "Preparation") -> Mapping[str, bool | None]:
    """The day's answers by the gate's keys; not asked stays None."""
    said = prepared.screening
    if said is None:
        return {}
    fluids = YES_NO.get(said.fluids_taken)
    return {
        "infection": YES_NO.get(said.infection_or_fever),
        "headache_after_last": YES_NO.get(said.headache_after_last),
        "clot_or_chest_pain": YES_NO.get(said.new_clot_or_chest_pain),
        "dehydrated": None if fluids is None else not fluids,
        "new_medicines": YES_NO.get(said.new_medicines),
        "live_vaccine": YES_NO.get(said.live_vaccine),
        "possibly_pregnant": _said_pregnant(prepared),
    }


def asks_pregnancy(session: InfusionSession) -> bool:
    """The question is for everybody who is not recorded as male."""
    return session.patient.sex != Sex.MALE


def _said_pregnant(prepared: "Preparation") -> bool | None:
    if not asks_pregnancy(prepared.session):
        return False
    return YES_NO.get(prepared.screening.pregnant) if prepared.screening else None


def _pregnant(prepared: "Preparation") -> bool | None:
    row = prepared.risk_factors.get(RiskFactor.PREGNANCY)
    if row is not None and row.presence == Presence.PRESENT:
        return True
    return _said_pregnant(prepared)


def _supervisor(prepared: "Preparation") -> str:
    row = prepared.risk_factors.get(RiskFactor.PREGNANCY)
    return row.supervisor if row else ""


def _consent_age(prepared: "Preparation") -> int | None:
    """Days since consent was given; None when there is none that holds today.

    A clinic that takes consent elsewhere has switched the question off.
    """
    clinic, consent = prepared.session.clinic, prepared.consent
    if not clinic.consent_required:
        return 0
    day = clinic.day_of(prepared.at)
    if consent is None or not consent.given or consent.expires_on < day:
        return None
    return clinic.days_between(consent.event_time, prepared.at)


def _lab_ages(prepared: "Preparation") -> Mapping[str, int]:
    clinic = prepared.session.clinic
    ages = {
        test: clinic.days_between(rows[0].event_time, prepared.at)
        for test, rows in prepared.labs.items()
    }
    # An eGFR answers the same question as a creatinine.
    kidney = [ages[test] for test in ("creatinine", "egfr") if test in ages]
    if kidney:
        ages["creatinine"] = min(kidney)
    return ages


def _lab_readings(prepared: "Preparation") -> Mapping[str, tuple[Reading, ...]]:
    """Changes of laboratory results since the one before, in the same unit."""
    readings = {}
    for test, measure, per in (
        ("creatinine", "creatinine", {}),
        ("haemoglobin", "haemoglobin_g_dl", {"g/L": 10, "g/dL": 1}),
    ):
        rows = [row for row in prepared.labs.get(test, ()) if row.value is not None]
        if len(rows) < 2 or (not per and rows[0].unit != rows[1].unit):
            continue
        if per and not {rows[0].unit, rows[1].unit} <= set(per):
            continue
        now, before = (
            to_decimal(exact(row.value) / per.get(row.unit, 1)) for row in rows[:2]
        )
        known = lab_tests().get(test)
        readings[measure] = (
            Reading(
                name=measure,
                label=say(known.name) if known else test,
                unit="g/dL" if per else rows[0].unit,
                now=now,
                baseline=before,
                at=rows[0].event_time,
                baseline_at=rows[1].event_time,
            ),
        )
    return readings


def _blood_group(prepared: "Preparation") -> str | None:
    rows = prepared.labs.get("blood_group")
    return (rows[0].value_text or None) if rows else None
