"""What a product's label says, and which of its rows speaks for one patient."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from sessions.rules.language import phrase, say
from sessions.rules.sources import Source

REGIONS = {"us": "us", "eu": "eu", "uk": "eu", "au": "au", "ca": "ca"}
"""A clinic's label region, and the region whose label rows it reads.

No Australian or Canadian label is in the catalogue: there a product has its row for
all regions, or else its lowest stated maximum.
"""

SAME_LABEL_AS = {"cvid": "pi"}
"""Indications that labels name inside another: CVID inside primary immunodeficiency."""

IN_WORDS = {"pi": phrase("primary immunodeficiency")}
"""What a reader calls those broader indications."""

ANY = "any"
DEFAULT = "default"


class Part(NamedTuple):
    """What the rows of one patient class are used for, and by which two flags.

    A flag of `None` means "whichever".
    """

    use: str
    patient_class: str | None
    experience: str | None


PATIENT_CLASSES: dict[str, Part] = {
    "standard": Part("ladder", None, None),
    # Some labels print their ladder under "first infusion" only: it is the ladder
    # of everybody for whom no other is printed.
    "first_infusion": Part("ladder", None, None),
    "switching_product": Part("start", None, "first"),
    "switching_product_or_first_infusion": Part("start", None, "first"),
    "experienced": Part("experienced", None, "experienced"),
    # A manufacturer's chart climbs faster than doubling does; it is not the label,
    # so a first infusion does not use it.
    "manufacturer_chart": Part("experienced", None, "experienced"),
    "at_risk": Part("at_risk", "at_risk", None),
    "prior_reaction": Part("prior_reaction", None, None),
    # Superseded text: kept in the reference, never loaded.
    "older_label": Part("never", None, None),
    "older_label_trial": Part("never", None, None),
}
"""The ten patient classes of the label tables and the two flags of a plan."""


class LabelError(ValueError):
    """The catalogue has no rate for this product, so it cannot be ordered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelStep:
    """One rate that a label prints, and the least minutes to stay at it."""

    step: int
    ml_per_kg_h: Decimal
    min_minutes: Decimal | None
    is_max: bool
    note: str
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRates:
    """The rates of one label for one region, indication and patient class.

    `steps` is empty where the label asks for the lowest practicable rate and
    prints no figure. `is_label` is false for a published order set that the
    catalogue carries beside the label.
    """

    indication_key: str
    region: str
    patient_class: str
    steps: tuple[LabelStep, ...]
    note: str
    source: Source
    is_label: bool = True

    @property
    def use(self) -> str:
        """Which part of a plan these rows serve; see `PATIENT_CLASSES`."""
        return PATIENT_CLASSES[self.patient_class].use

    @property
    def maximum(self) -> LabelStep | None:
        """The row that the label calls the maximum."""
        return next((step for step in self.steps if step.is_max), None)

    @property
    def gives_steps(self) -> bool:
        """Whether rates are printed between the first and the highest."""
        return len(self.steps) > 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Vials:
    """The vial sizes of a product; some are sold in some regions only."""

    grams: tuple[Decimal, ...]
    only_in: tuple[tuple[Decimal, tuple[str, ...]], ...]
    source: Source

    def sold_in(self, region: str) -> tuple[Decimal, ...]:
        """The sizes that a clinic of this region can have on its shelf."""
        limited = dict(self.only_in)
        return tuple(
            size for size in self.grams if region in limited.get(size, (region,))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Caution:
    """A patient's condition that rules a product out, or warns against it.

    `risk` is the key of a risk factor; empty means "every patient".
    """

    code: str
    risk: str
    hard: bool
    text: str
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class AgeLimit:
    """The age from which a product is labelled; the younger are stopped or warned."""

    years: int
    hard: bool
    text: str
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One line of a product's description, as its source prints it."""

    name: str
    text: str
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """An immunoglobulin for infusion: strength, vials, cautions and label rates."""

    key: str
    brand: str
    manufacturer: str
    g_per_100ml: Decimal
    vials: Vials
    facts: tuple[Fact, ...]
    contraindicated_with: tuple[Caution, ...]
    min_age: AgeLimit | None
    withdrawn: str
    rates: tuple[LabelRates, ...]
    note: str
    source: Source

    @property
    def not_orderable_because(self) -> str:
        """Why this product cannot be ordered; empty if it can."""
        if self.withdrawn:
            return self.withdrawn
        if not any(rates.use == "ladder" for rates in self.rates):
            return say("The catalogue has no infusion rates for this product.")
        return ""

    @property
    def orderable(self) -> bool:
        """Whether the product is on the market and its rates are known."""
        return not self.not_orderable_because


@dataclass(frozen=True, slots=True, kw_only=True)
class Regimen:
    """One published way of dosing an indication.

    Doses are g/kg for the whole course unless `fixed_total_g` is set. A bound
    that the source leaves open is `None`.
    """

    name: str
    phase: str
    low_g_per_kg: Decimal | None
    high_g_per_kg: Decimal | None
    low_g_per_kg_day: Decimal | None
    high_g_per_kg_day: Decimal | None
    low_days: int | None
    high_days: int | None
    fixed_total_g: Decimal | None
    dose_text: str
    days_text: str
    interval_text: str
    low_interval_weeks: Decimal | None
    high_interval_weeks: Decimal | None
    labelled_products: tuple[str, ...]
    investigational: bool
    note: str
    source: Source

    @property
    def has_dose(self) -> bool:
        """Whether a source gives a dose at all."""
        return self.high_g_per_kg is not None or self.fixed_total_g is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Indication:
    """A reason for treatment, with every regimen a source was found for."""

    key: str
    name: str
    codes: str
    group: str
    regimens: tuple[Regimen, ...]

    @property
    def has_dose(self) -> bool:
        """Whether any regimen has a sourced dose."""
        return any(regimen.has_dose for regimen in self.regimens)

    @property
    def investigational(self) -> bool:
        """Whether every regimen is investigational."""
        return all(regimen.investigational for regimen in self.regimens)

    def status_of(self, product_key: str) -> str:
        """`labelled`, `off-label` or `investigational` for one product."""
        if any(product_key in regimen.labelled_products for regimen in self.regimens):
            return phrase("labelled")
        if self.investigational:
            return phrase("investigational")
        return phrase("off-label")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelLookup:
    """The label rows that apply to one patient, lowest rate first.

    The last of `steps` is the maximum. `stated` is false when the label is silent
    about the indication and the product's lowest maximum stands in for it.
    """

    steps: tuple[LabelStep, ...]
    gives_steps: bool
    stated: bool
    because: str
    at_risk: LabelStep | None
    at_risk_is_label: bool
    at_risk_note: str
    prior_reaction: LabelStep | None
    experienced_note: str
    """The label's condition for the rates of experienced patients, if they apply."""

    @property
    def start(self) -> LabelStep:
        """The rate that the infusion starts at."""
        return self.steps[0]

    @property
    def maximum(self) -> LabelStep:
        """The highest rate that the label allows this patient."""
        return self.steps[-1]


def label_for(
    product: Product,
    indication_key: str,
    *,
    region: str,
    patient_class: str = "standard",
    experience: str = "first",
    prior_reaction: bool = False,
) -> LabelLookup:
    """Find what the label of the clinic's region says for this patient.

    The order: the exact indication; the indication that the label names it inside
    (CVID in primary immunodeficiency); the region's row for all indications, then
    the row for all regions; else the lowest maximum that the product states for
    anything, marked as not stated for this indication.

    Raises `LabelError` when the product has no rates.
    """
    ladder, because = _ladder_rates(product, indication_key, region)
    steps, gives_steps, experienced_note = ladder.steps, ladder.gives_steps, ""
    if experience == "first":
        steps = _for_first(product, indication_key, region, steps)
    else:
        experienced = _find(product, "experienced", indication_key, region)[0]
        if experienced is not None:
            steps, gives_steps = _for_experienced(ladder, experienced)
            experienced_note = experienced.steps[-1].note
    at_risk = _find(product, "at_risk", indication_key, region)[0]
    reacted = _find(product, "prior_reaction", indication_key, region)[0]
    wants_at_risk = patient_class == "at_risk" and at_risk is not None
    return LabelLookup(
        steps=steps,
        gives_steps=gives_steps,
        stated=_find(product, "ladder", indication_key, region)[0] is not None,
        because=because,
        at_risk=at_risk.maximum if at_risk and wants_at_risk else None,
        at_risk_is_label=at_risk.is_label if at_risk else True,
        at_risk_note=at_risk.note if at_risk and wants_at_risk else "",
        prior_reaction=reacted.maximum if reacted and prior_reaction else None,
        experienced_note=experienced_note,
    )


def _places(indication_key: str, region: str) -> Iterator[tuple[str, str, str]]:
    """The label rows to look at, in order: region, indication, words for the reader."""
    region = REGIONS[region]
    yield (
        region,
        indication_key,
        say("label for this indication ({region})", region=region.upper()),
    )
    if indication_key in SAME_LABEL_AS:
        broader = SAME_LABEL_AS[indication_key]
        yield (
            region,
            broader,
            say(
                "label for {indication} ({region})",
                indication=say(IN_WORDS[broader]),
                region=region.upper(),
            ),
        )
    yield (
        region,
        DEFAULT,
        say("label for all indications ({region})", region=region.upper()),
    )
    yield ANY, DEFAULT, say("label for all indications")


def _find(
    product: Product, use: str, indication_key: str, region: str
) -> tuple[LabelRates | None, str]:
    for place, indication, because in _places(indication_key, region):
        for rates in product.rates:
            found = (rates.region, rates.indication_key, rates.use)
            if found == (place, indication, use):
                return rates, because
    return None, ""


def _ladder_rates(
    product: Product, indication_key: str, region: str
) -> tuple[LabelRates, str]:
    rates, because = _find(product, "ladder", indication_key, region)
    if rates is not None:
        return rates, because
    stated = [rates for rates in product.rates if rates.use == "ladder"]
    if not stated:
        raise LabelError(
            say("{brand}: the catalogue has no infusion rates.", brand=product.brand)
        )
    lowest = min(
        stated, key=lambda r: (r.steps[-1].ml_per_kg_h, r.steps[0].ml_per_kg_h)
    )
    return lowest, (
        say(
            "not stated for this indication: the product's lowest "
            "stated maximum ({indication_key}, {region})",
            indication_key=lowest.indication_key,
            region=lowest.region.upper(),
        )
    )


def _for_first(
    product: Product, indication_key: str, region: str, steps: tuple[LabelStep, ...]
) -> tuple[LabelStep, ...]:
    """Start a first infusion at the lowest start the label prints for one."""
    rates, _ = _find(product, "start", indication_key, region)
    if rates is None or rates.steps[0].ml_per_kg_h >= steps[0].ml_per_kg_h:
        return steps
    return (rates.steps[0], *steps)


def _for_experienced(
    ladder: LabelRates, rates: LabelRates
) -> tuple[tuple[LabelStep, ...], bool]:
    """Change the ladder by the rows that the label prints for experienced patients.

    Rows that begin at a later step extend the ladder; rows with a maximum of
    their own replace it; a lone first row only starts it higher.
    """
    if rates.steps[0].step > 1:
        return ladder.steps + rates.steps, ladder.gives_steps
    if rates.maximum is not None:
        return rates.steps, rates.gives_steps
    start = rates.steps[0]
    above = tuple(s for s in ladder.steps if s.ml_per_kg_h > start.ml_per_kg_h)
    return (start, *above), ladder.gives_steps
