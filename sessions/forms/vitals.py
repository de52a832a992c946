"""One set of vital signs as it is typed: the six usual numbers, the rest folded away.

Impossible is refused, implausible is asked about, abnormal is taken and left to the
rules (E5).
"""

from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from sessions.forms.base import WaitingForm
from sessions.forms.corrections import Correcting
from sessions.forms.fields import MomentField, NumberField, PlainText, WholeField
from sessions.models import (
    Clinic,
    Consciousness,
    PartialReason,
    TemperatureUnit,
    VitalSigns,
)
from sessions.rules.quantities import plain
from sessions.rules.vitals import (
    LIMITS,
    Plausibility,
    age_band,
    plausibility,
)

FAHRENHEIT = TemperatureUnit.FAHRENHEIT

USUAL = (
    ("systolic_mmhg", _lazy("Systolic"), "mmHg"),
    ("diastolic_mmhg", _lazy("Diastolic"), "mmHg"),
    ("pulse", _lazy("Pulse"), "/min"),
    ("respiratory_rate", _lazy("Resp."), "/min"),
    ("spo2", _lazy("SpO₂"), "%"),
    ("temperature", _lazy("Temp."), ""),
)
"""The six usual numbers: field, label, unit, in the order in which they are taken."""

OXYGEN = (("air", _lazy("Air")), ("oxygen", _lazy("Oxygen")))


class VitalsForm(WaitingForm):
    """One set; `last` and `baseline` are the sets to show beside it and to compare."""

    extra_fields = ("step_up_to",)

    def __init__(
        self,
        data=None,
        *,
        clinic: Clinic,
        at: datetime,
        age_years: int,
        last: VitalSigns | None = None,
        baseline: VitalSigns | None = None,
        earliest: datetime | None = None,
        **options: Any,
    ) -> None:
        self.age_years = Decimal(age_years)
        self.last, self.baseline, self.earliest = last, baseline, earliest
        super().__init__(data, clinic=clinic, at=at, **options)
        for name in ("consciousness", "oxygen", "spo2_scale"):
            self.fields[name].initial = self._as_last(name)

    systolic_mmhg = WholeField(low=0, high=999, label=_lazy("Systolic"), required=False)
    diastolic_mmhg = WholeField(
        low=0, high=999, label=_lazy("Diastolic"), required=False
    )
    pulse = WholeField(low=0, high=999, label=_lazy("Pulse"), required=False)
    respiratory_rate = WholeField(low=0, high=999, label=_lazy("Resp."), required=False)
    spo2 = WholeField(low=0, high=999, label=_lazy("SpO₂"), required=False)
    temperature = NumberField(
        low="0", high="999", places=1, label=_lazy("Temp."), required=False
    )
    event_time = MomentField(label=_lazy("Time taken"), required=False)
    consciousness = forms.ChoiceField(
        choices=Consciousness,
        required=False,
        label=_lazy("Consciousness"),
        widget=forms.RadioSelect,
    )
    oxygen = forms.ChoiceField(
        choices=OXYGEN,
        required=False,
        label=_lazy("Breathing"),
        widget=forms.RadioSelect,
    )
    oxygen_l_per_min = NumberField(
        low="0",
        high="30",
        places=1,
        label=_lazy("Oxygen"),
        unit="L/min",
        required=False,
    )
    spo2_scale = forms.TypedChoiceField(
        choices=((1, "1"), (2, _lazy("2: target 88 to 92 %"))),
        coerce=int,
        empty_value=1,
        required=False,
        label=_lazy("SpO₂ scale"),
        widget=forms.RadioSelect,
    )
    pain = WholeField(low=0, high=10, label=_lazy("Pain, 0 to 10"), required=False)
    not_tolerated = forms.BooleanField(required=False, label=_lazy("Not tolerated"))
    partial_reason = forms.ChoiceField(
        choices=(("", _lazy("Complete set")), *PartialReason.choices),
        required=False,
        label=_lazy("Why is the set not complete?"),
    )
    partial_text = PlainText(max_length=200, required=False, label=_lazy("In words"))

    time_hint = _lazy("Empty: now. An earlier time is labelled as a late entry.")

    @property
    def temperature_unit(self) -> str:
        return "°F" if self.clinic.temperature_unit == FAHRENHEIT else "°C"

    @property
    def attests(self) -> bool:
        """Whether Save alone says "alert, on air": only when the last set was so."""
        last = self.last
        return (
            last is not None and last.consciousness == "A" and last.on_oxygen is False
        )

    @property
    def rest_is_open(self) -> bool:
        """Whether the fold must be open: something in it is asked for or wrong."""
        folded = {name for name in self.fields if name not in dict(_NAMES)}
        wrong = self.is_bound and bool(folded & set(self.errors))
        return wrong or not self.attests

    @property
    def usual(self) -> list[dict[str, Any]]:
        """The six fields as the page draws them: with unit, baseline and last value."""
        rows = []
        for name, _label, unit in USUAL:
            limits = LIMITS[age_band(self.age_years)][_column(name)]
            box = self[name]
            most = limits.hard_high
            if name == "temperature":
                unit, most = self.temperature_unit, self._shown_temperature(most)
                box.field.widget.attrs["data-places"] = "1"
            box.field.widget.attrs["data-max"] = plain(most)
            rows.append(
                {
                    "field": box,
                    "unit": unit,
                    "base": self._was(self.baseline, name),
                    "last": self._was(self.last, name),
                    "first": name == USUAL[0][0] and not self.is_bound,
                }
            )
        return rows

    @property
    def values(self) -> dict[str, Any]:
        """What the service takes: columns of the set, and when it was taken."""
        data = self.cleaned_data
        celsius = self._celsius(data["temperature"])
        typed = self.data.get(self.add_prefix("temperature"), "").strip()
        oxygen = {"air": False, "oxygen": True, "": None}[data["oxygen"]]
        reading = {
            "systolic_mmhg": data["systolic_mmhg"],
            "diastolic_mmhg": data["diastolic_mmhg"],
            "pulse": data["pulse"],
            "respiratory_rate": data["respiratory_rate"],
            "spo2": data["spo2"],
            "temperature_c": celsius,
            "temperature_as_typed": f"{typed} {self.temperature_unit}" if typed else "",
            "spo2_scale": data["spo2_scale"] or 1,
            "on_oxygen": oxygen,
            "oxygen_l_per_min": data["oxygen_l_per_min"],
            "consciousness": data["consciousness"],
            "pain": data["pain"],
            "tolerated": False if data["not_tolerated"] else None,
            "partial_reason": data["partial_reason"] if self.missing else "",
            "partial_text": data["partial_text"] if self.missing else "",
            "confirmed_implausible": self.confirmed,
        }
        return {"reading": reading, "event_time": data["event_time"]}

    @property
    def missing(self) -> list[str]:
        """Labels of the usual numbers that were left empty."""
        return [
            label for name, label, _ in USUAL if self.cleaned_data.get(name) is None
        ]

    @property
    def step_up_to(self) -> Decimal | None:
        """The rate read back for a step up in the same save, if that was pressed."""
        text = self.data.get("step_up_to", "")
        try:
            field = NumberField(low="0", high="2000", places=2, required=False)
            return field.clean(text)
        except ValidationError:
            return None

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        for name, label, _unit in USUAL:
            if data.get(name) is not None:
                self._judge(name, label, data[name])
        self._clean_pressure(data)
        self._clean_time(data)
        self._clean_partial(data)
        if self.data.get("step_up_to") and self.step_up_to is None:
            self.add_error(
                None, _("The step up was not understood. Load the page again.")
            )
        if data.get("oxygen") == "air" and data.get("oxygen_l_per_min"):
            self.add_error("oxygen_l_per_min", _("On air there is no oxygen flow."))
        return data

    def _judge(self, name: str, label: str, value: Decimal | int) -> None:
        if name == "temperature" and not self._right_unit(value):
            return
        column = _column(name)
        measured = self._celsius(value) if name == "temperature" else Decimal(value)
        before = getattr(self.last, column, None)
        verdict = plausibility(
            column,
            measured,
            age_years=self.age_years,
            last=None if before is None else Decimal(before),
        )
        if verdict is Plausibility.IMPOSSIBLE:
            limits = LIMITS[age_band(self.age_years)][column]
            edge, words = (
                (limits.hard_high, _("{label} {value}: at most {edge}."))
                if measured > limits.hard_high
                else (limits.hard_low, _("{label} {value}: at least {edge}."))
            )
            if name == "temperature":
                edge = self._shown_temperature(edge)
            self.add_error(
                name,
                words.format(label=label, value=plain(value), edge=plain(edge)),
            )
        elif verdict is Plausibility.IMPLAUSIBLE:
            last = (
                _(", last {last}").format(last=self._was(self.last, name))
                if before is not None
                else ""
            )
            self.ask(
                name,
                _("{label} {value}{last}. Is this right?").format(
                    label=label, value=plain(value), last=last
                ),
            )

    def _right_unit(self, value: Decimal) -> bool:
        """Refuse a temperature that is plausible in the other unit only (H19)."""
        fahrenheit = self.clinic.temperature_unit == FAHRENHEIT
        if fahrenheit and Decimal(30) <= value <= Decimal(45):
            question = _("{value} looks like °C. Did you mean °F?").format(
                value=plain(value)
            )
        elif not fahrenheit and Decimal(86) <= value <= Decimal(113):
            celsius = (value - 32) * 5 / 9
            question = _(
                "Did you mean °F? {value} °F is {celsius} °C. This clinic writes °C."
            ).format(value=plain(value), celsius=plain(celsius, 1))
        else:
            return True
        self.add_error("temperature", question)
        return False

    def _clean_pressure(self, data: dict[str, Any]) -> None:
        high, low = data.get("systolic_mmhg"), data.get("diastolic_mmhg")
        if high is None or low is None:
            for given, other in (
                ("systolic_mmhg", "diastolic_mmhg"),
                ("diastolic_mmhg", "systolic_mmhg"),
            ):
                half = data.get(given) is not None and data.get(other) is None
                if half and other not in self.errors and not data.get("partial_reason"):
                    self.add_error(other, _("A blood pressure has two values."))
        elif high <= low:
            self.add_error(
                "systolic_mmhg",
                _(
                    "Systolic {high} must be above diastolic {low}. Are they swapped?"
                ).format(high=high, low=low),
            )

    def _clean_time(self, data: dict[str, Any]) -> None:
        taken = data.get("event_time") or data.get("pressed_at")
        if taken is not None and self.earliest and taken < self.earliest:
            self.add_error("event_time", _("This time lies before the visit."))

    def _clean_partial(self, data: dict[str, Any]) -> None:
        missing = [
            label
            for name, label, _ in USUAL
            if data.get(name) is None and name not in self.errors
        ]
        if len(missing) == len(USUAL) and not data.get("consciousness"):
            self.add_error(None, _("Nothing was measured."))
        elif missing and not data.get("partial_reason"):
            self.add_error(
                "partial_reason",
                _("{missing} missing: enter it, or say why.").format(
                    missing=", ".join(str(label) for label in missing)
                ),
            )
        elif data.get("partial_reason") == "other" and not data.get("partial_text"):
            self.add_error("partial_text", _("Write the reason in words."))
        elif not missing and self._new_words(data) and not self.errors:
            self.add_error(
                "partial_text",
                _(
                    "No number is missing, so these words would not be kept. "
                    "Clear them."
                ),
            )

    def _new_words(self, data: dict[str, Any]) -> bool:
        """Whether words about a missing number were typed, not merely left as shown."""
        words = data.get("partial_text")
        return bool(words) and words != self.initial.get("partial_text")

    def _celsius(self, value: Decimal | None) -> Decimal | None:
        """The temperature in °C to one decimal, as it is kept; half goes up."""
        if value is None:
            return None
        if self.clinic.temperature_unit == FAHRENHEIT:
            value = (value - 32) * 5 / 9
        return value.quantize(Decimal("0.1"), rounding=ROUND_HALF_UP)

    def _shown_temperature(self, celsius: Decimal) -> Decimal:
        if self.clinic.temperature_unit == FAHRENHEIT:
            return celsius * 9 / 5 + 32
        return celsius

    def _was(self, row: VitalSigns | None, name: str) -> str:
        """An earlier value as text; empty when it was not measured."""
        value = getattr(row, _column(name), None)
        if value is None:
            return ""
        if name == "temperature":
            return plain(self._shown_temperature(Decimal(value)), 1)
        return plain(value)

    def _as_last(self, name: str) -> Any:
        if self.last is None:
            return None
        if name == "oxygen":
            return {False: "air", True: "oxygen", None: None}[self.last.on_oxygen]
        return getattr(self.last, name) or None


class CorrectionForm(Correcting, VitalsForm):
    """A set written down anew; the first values stay readable beside it."""

    pressed_at = None  # it waits for nothing: a correction is made with the line up
    time_hint = _lazy("Change it only if the time was wrong.")

    @classmethod
    def filled(cls, row: VitalSigns, **options: Any) -> "CorrectionForm":
        """The form with the values that stand now."""
        form = cls(**options)
        shown = {name: form._was(row, name) for name, _, _ in USUAL}
        form.initial = {
            **shown,
            "consciousness": row.consciousness,
            "oxygen": {False: "air", True: "oxygen", None: ""}[row.on_oxygen],
            "oxygen_l_per_min": row.oxygen_l_per_min,
            "spo2_scale": row.spo2_scale,
            "pain": row.pain,
            "not_tolerated": row.tolerated is False,
            "partial_reason": row.partial_reason,
            "partial_text": row.partial_text,
            "event_time": form.fields["event_time"].as_typed(row.event_time),
        }
        return form


def earliest_of(scheduled_at: datetime) -> datetime:
    """Nothing of a visit happened earlier than half a day before its appointment."""
    return scheduled_at - timedelta(hours=12)


_NAMES = tuple((name, label) for name, label, _ in USUAL)


def _column(name: str) -> str:
    return "temperature_c" if name == "temperature" else name
