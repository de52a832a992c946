"""The gate to Start: what stops it, what only warns, and what would clear each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal

from sessions.rules.documents import Fields
from sessions.rules.findings import Action, Finding
from sessions.rules.language import day_words, say
from sessions.rules.quantities import plain
from sessions.rules.sources import DocumentError, Source
from sessions.rules.thresholds import Person, Phase, Reading, Threshold, compare_all
from sessions.rules.vitals import VitalSet, in_words, missing_from

HARD = "hard"
WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One item of the gate: hard stops need a prescriber, warnings a coded reason.

    An `attested` check is true when somebody said so at the chair; the others are
    worked out from facts. `limit` is the number it compares with, where there is one.
    """

    rule: str
    key: str
    hard: bool
    text: str
    why: str
    clears: str
    attested: bool
    limit: Decimal | None
    note: str
    source: Source

    @classmethod
    def read(cls, fields: Fields) -> Check:
        """Read one check of the catalogue."""
        kind = fields.text("kind")
        if kind not in (HARD, WARNING):
            raise fields.fail("kind", f"is not {HARD} or {WARNING}")
        check = cls(
            rule=fields.text("rule"),
            key=fields.text("key"),
            hard=kind == HARD,
            text=fields.text("text"),
            why=fields.text("why"),
            clears=fields.text("clears"),
            attested=fields.flag("attested", default=False),
            limit=fields.optional_number("limit"),
            note=fields.text("note", default=""),
            source=fields.source(),
        )
        fields.done()
        return check

    def finding(self, because: str) -> Finding:
        """Turn the check into what the gate shows."""
        return Finding(
            rule=self.rule,
            action=Action.OBSERVE,
            because=because,
            calls_for=say(self.why),
            source=self.source,
            note=say(self.note),
            clears=say(self.clears),
            series=self.key,
            holds_start=self.hard,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskFactor:
    """One risk factor, and what it changes for the products it speaks about.

    Empty `products` means every product. `caps_rate` puts the patient among those at
    risk, whose rate ceiling is lower; `gate` is empty when it only informs.
    """

    key: str
    label: str
    changes: str
    gate: str
    products: tuple[str, ...]
    caps_rate: bool
    question: str
    clears: str
    source: Source

    @classmethod
    def read(cls, fields: Fields) -> RiskFactor:
        """Read one risk factor of the catalogue."""
        factor = cls(
            key=fields.text("key"),
            label=fields.text("label"),
            changes=fields.text("changes"),
            gate=fields.text("gate", default=""),
            products=fields.texts("products", default=[]),
            caps_rate=fields.flag("caps_rate", default=False),
            question=fields.text("question", default=""),
            clears=fields.text("clears", default=""),
            source=fields.source(),
        )
        if factor.gate not in ("", HARD, WARNING):
            raise fields.fail("gate", f"is not {HARD} or {WARNING}")
        fields.done()
        return factor

    def concerns(self, product: str) -> bool:
        """Whether it speaks about a product."""
        return not self.products or product in self.products


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One screening question on the day, and what a yes does."""

    rule: str
    key: str
    text: str
    gate: str
    calls_for: str
    clears: str
    source: Source

    @classmethod
    def read(cls, fields: Fields) -> Question:
        """Read one question of the catalogue."""
        question = cls(
            rule=fields.text("rule"),
            key=fields.text("key"),
            text=fields.text("text"),
            gate=fields.text("gate"),
            calls_for=fields.text("calls_for"),
            clears=fields.text("clears"),
            source=fields.source(),
        )
        if question.gate not in (HARD, WARNING):
            raise fields.fail("gate", f"is not {HARD} or {WARNING}")
        fields.done()
        return question


@dataclass(frozen=True, slots=True, kw_only=True)
class GateCatalogue:
    """All checks, risk factors and questions the gate knows."""

    checks: tuple[Check, ...]
    risk_factors: tuple[RiskFactor, ...]
    questions: tuple[Question, ...]

    def __post_init__(self) -> None:
        computed = {check.key for check in self.checks if not check.attested}
        if computed != set(COMPUTED):
            wrong = min(computed ^ set(COMPUTED))
            raise DocumentError(f"checks: {wrong}: is listed or worked out, not both")


@dataclass(frozen=True, slots=True, kw_only=True)
class VialFact:
    """One vial at the chair."""

    product: str
    grams: Decimal
    lot: str
    expires_on: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PremedicationFact:
    """One ordered premedication; `minutes_ago` is None while it was not given."""

    name: str
    wait_minutes: Decimal
    minutes_ago: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateFacts:
    """Everything the gate looks at, as plain values; None is not known, never "none".

    `risk_factors` and `answers` say yes, no, or not asked (None or left out), by the
    keys of the catalogue. `product_names` say what the products of the order and of
    the vials are called. `baseline_findings` are those of the baseline's assessment;
    None says that its check was not done.
    """

    today: date
    age_years: Decimal
    attested: Mapping[str, bool] = field(default_factory=dict)
    product: str
    product_names: Mapping[str, str] = field(default_factory=dict)
    planned_g: Decimal
    dose_g_per_kg: Decimal | None = None
    vials: tuple[VialFact, ...] = ()
    weight_kg: Decimal | None = None
    weight_age_days: int | None = None
    order_weight_kg: Decimal | None = None
    height_needed: bool = False
    height_known: bool = False
    consent_age_days: int | None = None
    lab_age_days: Mapping[str, int] = field(default_factory=dict)
    lab_readings: Mapping[str, tuple[Reading, ...]] = field(default_factory=dict)
    risk_factors: Mapping[str, bool | None] = field(default_factory=dict)
    answers: Mapping[str, bool | None] = field(default_factory=dict)
    blood_group: str | None = None
    first_infusion: bool = False
    brand_switch: bool = False
    long_gap: bool = False
    pregnant: bool | None = None
    supervisor: str = ""
    baseline: VitalSet | None = None
    baseline_age_minutes: Decimal | None = None
    baseline_findings: tuple[Finding, ...] | None = None
    premedications: tuple[PremedicationFact, ...] = ()
    planned_ml_per_h: Decimal | None = None
    pump_shows_ml_per_h: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What stands between the patient and Start."""

    hard: tuple[Finding, ...]
    warnings: tuple[Finding, ...]

    @property
    def open(self) -> bool:
        """Whether nothing stops the Start; warnings still want their reasons."""
        return not self.hard


def gate(
    facts: GateFacts, catalogue: GateCatalogue, lab_thresholds: Iterable[Threshold]
) -> Gate:
    """Check everything that must hold before Start (C3)."""
    found = (
        *_checked(facts, catalogue.checks),
        *_risks(facts, catalogue.risk_factors),
        *_answered(facts, catalogue.questions),
        *_laboratory(facts, tuple(lab_thresholds)),
    )
    return Gate(
        hard=tuple(finding for finding in found if finding.holds_start),
        warnings=tuple(finding for finding in found if not finding.holds_start),
    )


def _checked(facts: GateFacts, checks: tuple[Check, ...]) -> Iterable[Finding]:
    for check in checks:
        if not check.attested:
            because = COMPUTED[check.key](facts, check.limit or Decimal(0))
            if because:
                yield check.finding(because)
        elif not facts.attested.get(check.key):
            because = say("{words}: not said", words=say(check.text))
            yield replace(check.finding(because), missing=(check.key,))


def _risks(facts: GateFacts, factors: tuple[RiskFactor, ...]) -> Iterable[Finding]:
    for factor in factors:
        present = facts.risk_factors.get(factor.key)
        if present and factor.gate and factor.concerns(facts.product):
            yield Finding(
                rule=f"G-risk-{factor.key}",
                action=Action.OBSERVE,
                because=say(factor.label),
                calls_for=say(factor.changes),
                source=factor.source,
                clears=say(factor.clears),
                series=factor.key,
                holds_start=factor.gate == HARD,
            )


def _answered(facts: GateFacts, questions: tuple[Question, ...]) -> Iterable[Finding]:
    """An unanswered question holds the Start: not asked is never "no" (H27)."""
    for question in questions:
        answer = facts.answers.get(question.key)
        if answer is False:
            continue
        unasked = answer is None
        yield Finding(
            rule=question.rule,
            action=Action.OBSERVE,
            because=f"{say(question.text)} "
            + (say("Not answered") if unasked else say("Yes")),
            calls_for=say(question.calls_for),
            source=question.source,
            missing=(question.key,) if unasked else (),
            clears=say("an answer") if unasked else say(question.clears),
            series=question.key,
            holds_start=unasked or question.gate == HARD,
        )


def _laboratory(
    facts: GateFacts, thresholds: tuple[Threshold, ...]
) -> Iterable[Finding]:
    """Laboratory limits that were measured; what is missing is a check of its own."""
    measured = tuple(
        rule
        for rule in thresholds
        if all(each.measure in facts.lab_readings for each in rule.conditions)
    )
    comparison = compare_all(
        measured,
        facts.lab_readings,
        person=Person(age_years=facts.age_years, pregnant=bool(facts.pregnant)),
        phase=Phase.INFUSING,
        present_signs=frozenset(),
    )
    for crossing in comparison.strictest():
        rule = crossing.threshold
        condition, reading = crossing.readings[0]
        yield Finding(
            rule=rule.rule,
            action=rule.act.action,
            because=(
                say(
                    "{found} (limit: {limit})",
                    found=condition.found_text(reading),
                    limit=condition.limit_text(reading),
                )
            ),
            calls_for=say(rule.act.calls_for),
            source=rule.source,
            severity=rule.severity,
            values=tuple(c.value(read) for c, read in crossing.readings),
            note=say(rule.note),
            clears=say("the prescriber's decision"),
            series=rule.series,
            holds_start=True,
        )


def _expired(facts: GateFacts, _: Decimal) -> str:
    gone = [v for v in facts.vials if v.expires_on and v.expires_on < facts.today]
    return ", ".join(
        say(
            "Lot {lot} expired on {expires_on}",
            lot=vial.lot,
            expires_on=day_words(vial.expires_on) if vial.expires_on else "",
        )
        for vial in gone
    )


def _vials_unrecorded(facts: GateFacts, _: Decimal) -> str:
    if not facts.vials:
        return say("No vial is recorded")
    bare = [vial for vial in facts.vials if not vial.lot or vial.expires_on is None]
    return (
        say(
            "{bare} of {vials} without lot or expiry",
            bare=len(bare),
            vials=len(facts.vials),
        )
        if bare
        else ""
    )


def _wrong_product(facts: GateFacts, _: Decimal) -> str:
    wrong = {vial.product for vial in facts.vials} - {facts.product}
    if not wrong:
        return ""
    names = facts.product_names
    return say(
        "Ordered {product}, at the chair {wrong}",
        product=names.get(facts.product, facts.product),
        wrong=", ".join(sorted(names.get(key, key) for key in wrong)),
    )


def _vials_short(facts: GateFacts, _: Decimal) -> str:
    present = sum((vial.grams for vial in facts.vials), Decimal(0))
    if present >= facts.planned_g:
        return ""
    return say(
        "Vials hold {present} g of {planned_g} g",
        present=plain(present),
        planned_g=plain(facts.planned_g),
    )


def _several_lots(facts: GateFacts, _: Decimal) -> str:
    lots = {vial.lot for vial in facts.vials if vial.lot}
    return (
        say("{lots} lots: {lots2}", lots=len(lots), lots2=", ".join(sorted(lots)))
        if len(lots) > 1
        else ""
    )


def _older(days: int | None, limit: Decimal, name: str) -> str:
    if days is None or days <= limit:
        return ""
    return say(
        "{name} is {days} days old, valid for {limit}",
        name=name,
        days=days,
        limit=limit,
    )


def _weight_missing(facts: GateFacts, limit: Decimal) -> str:
    if facts.weight_kg is None or facts.weight_age_days is None:
        return say("No measured weight")
    return _older(facts.weight_age_days, limit, say("Weight"))


def _weight_stale(facts: GateFacts, limit: Decimal) -> str:
    return _older(facts.weight_age_days, limit, say("Weight"))


def _weight_changed(facts: GateFacts, limit: Decimal) -> str:
    now, ordered = facts.weight_kg, facts.order_weight_kg
    if now is None or ordered is None or abs(now - ordered) * 100 < ordered * limit:
        return ""
    return say(
        "Weight {ordered} kg at the order, {now} kg now",
        ordered=plain(ordered),
        now=plain(now),
    )


def _height_missing(facts: GateFacts, _: Decimal) -> str:
    missing = facts.height_needed and not facts.height_known
    return say("No height for the dosing weight") if missing else ""


def _no_consent(facts: GateFacts, limit: Decimal) -> str:
    if facts.consent_age_days is None:
        return say("No consent on file")
    return _older(facts.consent_age_days, limit, say("Consent"))


def _no_creatinine(facts: GateFacts, _: Decimal) -> str:
    return "" if "creatinine" in facts.lab_age_days else say("No creatinine on file")


def _old_creatinine(facts: GateFacts, limit: Decimal) -> str:
    return _older(facts.lab_age_days.get("creatinine"), limit, say("Creatinine"))


def _old_haemoglobin(facts: GateFacts, limit: Decimal) -> str:
    age = facts.lab_age_days.get("haemoglobin")
    if age is None:
        return say("No haemoglobin on file")
    return _older(age, limit, say("Haemoglobin"))


def _iga_unknown(facts: GateFacts, _: Decimal) -> str:
    unknown = facts.first_infusion and "iga" not in facts.lab_age_days
    return say("IgA is not known before the first dose") if unknown else ""


def _haemolysis_risk(facts: GateFacts, limit: Decimal) -> str:
    if facts.dose_g_per_kg is None or facts.dose_g_per_kg < limit:
        return ""
    if facts.blood_group is None:
        return say(
            "Blood group is not known at {dose_g_per_kg} g/kg",
            dose_g_per_kg=plain(facts.dose_g_per_kg),
        )
    if facts.blood_group.upper().startswith("O"):
        return ""
    return say(
        "Blood group {blood_group} at {dose_g_per_kg} g/kg",
        blood_group=facts.blood_group,
        dose_g_per_kg=plain(facts.dose_g_per_kg),
    )


def _as_first(facts: GateFacts, _: Decimal) -> str:
    reasons = {
        say("First infusion"): facts.first_infusion,
        say("Another brand than last time"): facts.brand_switch,
        say("A long gap since the last infusion"): facts.long_gap,
    }
    return ", ".join(reason for reason, true in reasons.items() if true)


def _no_score(facts: GateFacts, limit: Decimal) -> str:
    return (
        say("Under {limit}: NEWS2 is not scored", limit=limit)
        if facts.age_years < limit
        else ""
    )


def _pregnancy_unknown(facts: GateFacts, _: Decimal) -> str:
    return say("Pregnancy was not asked") if facts.pregnant is None else ""


def _pregnant(facts: GateFacts, _: Decimal) -> str:
    return say("Pregnant: NEWS2 is not scored") if facts.pregnant else ""


def _no_supervisor(facts: GateFacts, _: Decimal) -> str:
    unnamed = facts.pregnant and not facts.supervisor.strip()
    return say("Pregnant, and no supervising physician is named") if unnamed else ""


def _baseline_missing(facts: GateFacts, _: Decimal) -> str:
    missing = missing_from(facts.baseline)
    return say("Baseline lacks {missing}", missing=in_words(missing)) if missing else ""


def _baseline_old(facts: GateFacts, limit: Decimal) -> str:
    age = facts.baseline_age_minutes
    if age is None:
        return say("The age of the baseline is not known") if facts.baseline else ""
    if age <= limit:
        return ""
    return say(
        "Baseline is {age} minutes old, valid for {limit}", age=plain(age), limit=limit
    )


def _baseline_limits(facts: GateFacts, _: Decimal) -> str:
    if facts.baseline_findings is None:
        return say("CHECK NOT DONE on the baseline")
    holding = [found for found in facts.baseline_findings if found.holds_start]
    return "; ".join(f"{found.because} ({found.rule})" for found in holding)


def _premedication_missing(facts: GateFacts, _: Decimal) -> str:
    waiting = [each.name for each in facts.premedications if each.minutes_ago is None]
    return say("Not given: {waiting}", waiting=", ".join(waiting)) if waiting else ""


def _premedication_wait(facts: GateFacts, _: Decimal) -> str:
    waiting = [
        say(
            "{name}, {wait_minutes} minutes to go",
            name=each.name,
            wait_minutes=plain(each.wait_minutes - each.minutes_ago),
        )
        for each in facts.premedications
        if each.minutes_ago is not None and each.minutes_ago < each.wait_minutes
    ]
    return "; ".join(waiting)


def _pump_differs(facts: GateFacts, _: Decimal) -> str:
    planned, pump = facts.planned_ml_per_h, facts.pump_shows_ml_per_h
    if pump is None:
        return say("The pump's rate was not read back")
    if planned is None:
        return say("The planned rate is not known")
    if pump == planned:
        return ""
    return say(
        "Planned {planned} mL/h, the pump shows {pump} mL/h",
        planned=plain(planned),
        pump=plain(pump),
    )


COMPUTED: Mapping[str, Callable[[GateFacts, Decimal], str]] = {
    "vials_recorded": _vials_unrecorded,
    "vials_expired": _expired,
    "vials_product": _wrong_product,
    "vials_dose": _vials_short,
    "several_lots": _several_lots,
    "weight_missing": _weight_missing,
    "weight_stale": _weight_stale,
    "weight_changed": _weight_changed,
    "height": _height_missing,
    "consent": _no_consent,
    "creatinine_missing": _no_creatinine,
    "creatinine_stale": _old_creatinine,
    "haemoglobin": _old_haemoglobin,
    "iga": _iga_unknown,
    "haemolysis_risk": _haemolysis_risk,
    "as_first": _as_first,
    "under_16": _no_score,
    "pregnancy_unknown": _pregnancy_unknown,
    "pregnancy": _pregnant,
    "supervisor": _no_supervisor,
    "baseline_complete": _baseline_missing,
    "baseline_age": _baseline_old,
    "baseline_limits": _baseline_limits,
    "premedication_given": _premedication_missing,
    "premedication_wait": _premedication_wait,
    "pump_read_back": _pump_differs,
}
"""How each check that is not attested is worked out; empty text means it is clear."""
