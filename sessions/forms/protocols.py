"""Editing a copy of a protocol: each value is a field, each field knows its key."""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from sessions.forms.base import ClinicForm
from sessions.forms.fields import NumberField, PlainText
from sessions.rules.dosing_policy import (
    OUTLIVED,
    POLICY_BASES,
    RESTART_METHODS,
    ROUNDINGS,
)
from sessions.rules.language import inside, say
from sessions.rules.thresholds import Side

UNITS = (
    ("_mg_per_kg_min", "mg/kg/min"),
    ("_ml_per_kg_h", "mL/kg/h"),
    ("_ml_per_h", "mL/h"),
    ("_g_per_kg", "g/kg"),
    ("_percent", "%"),
    ("_minutes", "min"),
    ("_hours", "h"),
    ("_days", _lazy("days")),
    ("_weeks", _lazy("weeks")),
    ("_years", _lazy("years")),
    ("_kg", "kg"),
    ("_cm", "cm"),
)
"""How the end of a key names the unit of its value."""

CHOICES = {
    ("rounding", "dose_to"): ROUNDINGS,
    ("dosing_weight", "basis"): POLICY_BASES,
    ("restart", "method"): RESTART_METHODS,
}

DECIDED_ELSEWHERE = (*OUTLIVED, ("rounding", "pump_ml_per_h"))
"""What a protocol's page neither shows nor asks: it decides nothing in a clinic.

How fine the pumps are is the clinic's setting (`services.order_plans.dosing_policy`);
the document's own value serves the commands, which know no clinic.
"""

NUMBER, CHOICE, FLAG = "number", "choice", "flag"


def words_of(key: str) -> tuple[str, str]:
    """A key as a screen writes it, and its unit: `first_set_minutes` is a first set."""
    for ending, unit in UNITS:
        if key.endswith(ending):
            return _plain_words(key.removesuffix(ending)), unit
    return _plain_words(key), "min" if key == "minutes" else ""


def _plain_words(key: str) -> str:
    return say(key.replace("_", " ").capitalize())


@dataclass(frozen=True, slots=True)
class Editable:
    """One value of the document: where it stands, and how it is asked for.

    `path` leads to the table that holds it, `key` is its key there; `name` is the
    field's name and the way the rules name it in an error.
    """

    name: str
    section: str
    label: str
    unit: str
    path: tuple[str | int, ...]
    key: str
    kind: str
    value: Any
    choices: tuple[str, ...] = ()

    @property
    def shown(self) -> Any:
        """The value as it stands, a choice in words."""
        is_word = self.kind == CHOICE
        return inside(_plain_words(self.value.lower())) if is_word else self.value


def editables(document: Mapping[str, Any]) -> Iterator[Editable]:
    """Every value that a clinic may choose; published scores are not among them."""
    yield from _settings(document, "dosing", tuple(document["dosing"]))
    yield from _settings(document, "monitoring", ("schedule", "reaction_course"))
    monitoring = document["monitoring"]
    acts = tuple(monitoring["acts"])
    yield from _acts(monitoring["acts"])
    yield Editable(
        name="new_lot.act",
        section="new_lot",
        label=_("A vial of a new lot in mid-session: calls for"),
        unit="",
        path=("monitoring", "new_lot"),
        key="act",
        kind=CHOICE,
        value=monitoring["new_lot"]["act"],
        choices=acts,
    )
    for table in ("thresholds", "lab_thresholds", "reactions", "timing"):
        for place, row in enumerate(monitoring[table]):
            yield from _rule(table, place, row, acts)


def _settings(
    document: Mapping[str, Any], half: str, sections: tuple[str, ...]
) -> Iterator[Editable]:
    for section in sections:
        for key, entry in document[half][section].items():
            if not isinstance(entry, Mapping) or (section, key) in DECIDED_ELSEWHERE:
                continue
            label, unit = words_of(key)
            choices = CHOICES.get((section, key), ())
            yield Editable(
                name=f"{section}.{key}",
                section=section,
                label=label,
                unit=unit,
                path=(half, section, key),
                key="value",
                kind=CHOICE if choices else NUMBER,
                value=entry["value"],
                choices=choices,
            )


def _acts(acts: Mapping[str, Any]) -> Iterator[Editable]:
    for code, row in acts.items():
        for key in ("recheck_minutes", "escalates_minutes"):
            if key in row:
                label, unit = words_of(key)
                yield Editable(
                    name=f"acts.{code}.{key}",
                    section="acts",
                    label=_("{code}: {label} after").format(
                        code=_plain_words(code.lower()), label=inside(label)
                    ),
                    unit=unit,
                    path=("monitoring", "acts", code),
                    key=key,
                    kind=NUMBER,
                    value=row[key],
                )


def _rule(
    table: str, place: int, row: Mapping[str, Any], acts: tuple[str, ...]
) -> Iterator[Editable]:
    rule, path = row["rule"], ("monitoring", table, place)
    named = _named(row)
    sides = tuple(side.value for side in Side)
    for index, condition in enumerate(row.get("when", ())):
        side = next(each for each in sides if each in condition)
        measure, unit = words_of(condition["measure"])
        compare = inside(_plain_words(condition["compare"]))
        about = measure if compare == "value" else f"{measure}: {compare}"
        yield Editable(
            name=f"{table}.{rule}.{index}.{side}",
            section=table,
            label=f"{rule} {about} {inside(_plain_words(side))}",
            unit=unit,
            path=(*path, "when", index),
            key=side,
            kind=NUMBER,
            value=condition[side],
        )
    for key in ("within_hours", "recheck_minutes"):
        if key in row:
            label, unit = words_of(key)
            yield Editable(
                name=f"{table}.{rule}.{key}",
                section=table,
                label=f"{named}: {inside(label)}",
                unit=unit,
                path=path,
                key=key,
                kind=NUMBER,
                value=row[key],
            )
    yield Editable(
        name=f"{table}.{rule}.act",
        section=table,
        label=_("{named}: calls for").format(named=named),
        unit="",
        path=path,
        key="act",
        kind=CHOICE,
        value=row["act"],
        choices=acts,
    )
    if table != "timing":
        yield Editable(
            name=f"{table}.{rule}.on",
            section=table,
            label=_("{named}: on").format(named=named),
            unit="",
            path=path,
            key="on",
            kind=FLAG,
            value=row.get("on", True),
        )


def _named(row: Mapping[str, Any]) -> str:
    """A rule as its row is found again: "R-01 headache, mild"."""
    about = row.get("reaction") or row.get("series", "")
    severity = row.get("severity", ())
    grades = [severity] if isinstance(severity, str) else list(severity)
    words = ", ".join([about.replace("_", " "), *(grades if "reaction" in row else ())])
    return f"{row['rule']} {words}".strip()


SECTIONS = {
    "ladder": _lazy("Ladder where the label gives only start and maximum"),
    "ceiling": _lazy("Ceilings"),
    "rounding": _lazy("Rounding"),
    "dosing_weight": _lazy("Dosing weight"),
    "weight": _lazy("Age and change of the weight"),
    "dose_range": _lazy("Dose limits"),
    "restart": _lazy("Restart after a pause or reaction"),
    "intervals": _lazy("Gaps between infusions"),
    "schedule": _lazy("Vital signs and observation"),
    "reaction_course": _lazy("Course of reactions"),
    "acts": _lazy("What each act leads to"),
    "thresholds": _lazy("Limits of vital signs"),
    "lab_thresholds": _lazy("Limits of laboratory values"),
    "reactions": _lazy("Reactions"),
    "timing": _lazy("Late reactions"),
    "new_lot": _lazy("A new lot"),
}


PARTS = {
    "doses": (
        _lazy("Doses and rates"),
        (
            *("ladder", "ceiling", "rounding", "dosing_weight", "weight"),
            *("dose_range", "restart", "intervals"),
        ),
    ),
    "schedule": (
        _lazy("Schedule and acts"),
        ("schedule", "reaction_course", "acts", "timing", "new_lot"),
    ),
    "limits": (_lazy("Limits"), ("thresholds", "lab_thresholds")),
    "reactions": (_lazy("Reactions"), ("reactions",)),
}
"""One draft changes one part; a further part is changed in a draft of that draft."""


class ProtocolDraftForm(ClinicForm):
    """A copy of a version with other values; where they come from is asked once.

    Every changed value takes the source that is written here, because the source of
    the old value does not speak for the new one.
    """

    note = PlainText(
        max_length=400,
        lines=True,
        label=_lazy("What is changed, and why"),
        required=True,
    )
    source = PlainText(
        max_length=600,
        lines=True,
        label=_lazy("Where the new values come from"),
        help_text=_lazy(
            "A guideline with edition and page, or a decision of the clinic."
        ),
    )

    def __init__(
        self, *args, document: Mapping[str, Any], part: str, **options
    ) -> None:
        super().__init__(*args, **options)
        self.document = document
        sections = PARTS[part][1]
        self.editables = [e for e in editables(document) if e.section in sections]
        for each in self.editables:
            self.fields[each.name] = _field(each)

    @property
    def sections(self) -> list[tuple[str, list]]:
        """The fields as the page shows them, in the order of the document."""
        grouped: dict[str, list] = {}
        for each in self.editables:
            grouped.setdefault(each.section, []).append((each, self[each.name]))
        return [(SECTIONS[section], rows) for section, rows in grouped.items()]

    def changed(self) -> list[Editable]:
        """What was given another value than the copy has."""
        return [e for e in self.editables if not _same(e, self.cleaned_data[e.name])]

    def edited(self) -> dict[str, Any]:
        """The document with the changed values, each with its new source."""
        document = copy.deepcopy(dict(self.document))
        for each in self.changed():
            holder: Any = document
            sourced: Any = None
            for step in each.path:
                holder = holder[step]
                sourced = holder if "source" in holder else sourced
            holder[each.key] = _written(each, self.cleaned_data[each.name])
            if sourced is not None:
                sourced["source"] = self.cleaned_data["source"]
                sourced["verified"] = True
        return document

    def add_refusal(self, refused: Any) -> None:
        """Put an error of the rules at the field whose key it names."""
        named = refused.message.partition(":")[0]
        named = named.removeprefix("dosing.").removeprefix("monitoring.")
        named = named.replace("[", ".").replace("]", "")
        for each in self.editables:
            if named.removesuffix(".value") and each.name.startswith(
                named.removesuffix(".value")
            ):
                self.add_error(each.name, refused.message)
                return
        super().add_refusal(refused)


def _field(each: Editable) -> forms.Field:
    if each.kind == CHOICE:
        words = [(word, _plain_words(word.lower())) for word in each.choices]
        return forms.ChoiceField(choices=words, label=each.label, initial=each.value)
    if each.kind == FLAG:
        return forms.BooleanField(required=False, label=each.label, initial=each.value)
    return NumberField(
        low="0",
        high="100000",
        places=0 if isinstance(each.value, int) else 4,
        unit=each.unit,
        label=each.label,
        initial=str(each.value),
    )


def _same(each: Editable, given: Any) -> bool:
    return Decimal(each.value) == given if each.kind == NUMBER else each.value == given


def _written(each: Editable, given: Any) -> Any:
    """The value as documents write it: numbers as text, whole minutes as before."""
    if each.kind != NUMBER:
        return given
    return int(given) if isinstance(each.value, int) else str(given)


class ApproveForm(ClinicForm):
    """Putting a version in force is signed."""

    password = forms.CharField(
        max_length=200,
        strip=False,
        label=_lazy("Your password"),
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )


class RetireForm(ApproveForm):
    """Taking a version out of use needs a reason too."""

    reason = PlainText(max_length=400, lines=True, label=_lazy("Why it is retired"))
    field_order = ("reason", "password")


class ShipForm(ClinicForm):
    """One button: take the shipped protocol as the clinic's first draft."""
