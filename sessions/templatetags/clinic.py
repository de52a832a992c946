"""How numbers, times and names are written on every screen, in one place.

A builtin library: templates need no `{% load %}`. Times are written in the active time
zone, which the middleware sets to the clinic's; the browser's zone is never used. A
value that is missing is written as a dash, never as zero.
"""

import math
import unicodedata
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import Any

from django import forms, template
from django.forms import BoundField
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from sessions.models import (
    EndReason,
    NotDoneReason,
    OverrideReason,
    PartialReason,
    RateReason,
    ResumeReason,
)
from sessions.rules import language
from sessions.rules.quantities import Number, plain, shown, to_decimal
from sessions.rules.vitals import in_words

register = template.Library()

MISSING = "–"

ICONS = frozenset(
    {
        *("drop", "running", "paused", "observing", "preparing", "free", "stop"),
        *("high", "medium", "low", "late", "ok", "lock", "offline", "rx"),
        *("up", "down", "back", "next", "scan", "user", "print", "call", "edit"),
        "sound",
    }
)
"""Names in `components/_sprite.html`; a test keeps the two alike."""

UNBOXED = (
    forms.CheckboxInput,
    forms.RadioSelect,
    forms.CheckboxSelectMultiple,
    forms.HiddenInput,
)
"""Widgets that are no box: `_choices.html` and `_tick.html` draw the first three."""


@register.simple_tag
def icon(name: str) -> SafeString:
    """An icon of the sprite, hidden from screen readers: its word stands beside it.

    An unknown name draws nothing, because a wrong icon must not cost a nurse the page.
    """
    if name not in ICONS:
        return SafeString("")
    return format_html(
        '<svg class="ico" aria-hidden="true"><use href="#i-{}"/></svg>', name
    )


@register.filter
def num(value: Number | None, at_most: int | None = None) -> str:
    """A dose, rate, volume or weight: no trailing zeros, thousands mark from 10,000.

    `at_most` limits the decimals of a number that may not end: `{{ given_ml|num:1 }}`.
    """
    if value is None or value == "":
        return MISSING
    return shown(value, at_most)


@register.filter
def unit(text: str, name: str) -> str:
    """A written number with its unit, never parted at the end of a line: `33 mL/h`."""
    return f"{text}\u00a0{name}"


@register.filter
def signed(value: Number | str | None, at_most: int | None = None) -> str:
    """A change: `+2`, `−24`, `0`, with the true minus sign.

    A stored plan carries its numbers as text, which is taken too.
    """
    if value is None or value == "":
        return MISSING
    value = Decimal(value) if isinstance(value, str) else value
    text = shown(abs(value), at_most)
    if text == "0":
        return text
    return ("+" if value > 0 else "−") + text


@register.filter
def temp(value: Decimal | None, unit: str = "Cel") -> str:
    """A temperature stored in °C, always with one decimal, because it is measured so.

    `unit` is the clinic's (`Cel` or `[degF]`): `{{ set.temperature_c|temp:unit }}`.
    """
    if value is None or value == "":
        return MISSING
    measured = Decimal(value)
    if unit == "[degF]":
        measured = measured * 9 / 5 + 32
    return plain(measured, places=1)


@register.filter
def temp_unit(unit: str) -> str:
    """The sign of the clinic's temperature unit: `°C` or `°F`."""
    return "°F" if unit == "[degF]" else "°C"


@register.filter
def clock(value: datetime | None) -> str:
    """The time of day, `09:08`, in the clinic's zone."""
    if value is None or value == "":
        return MISSING
    return timezone.localtime(value).strftime("%H:%M")


@register.filter
def clock_s(value: datetime | None) -> str:
    """The time of day with seconds, `10:58:03`, in the clinic's zone."""
    if value is None or value == "":
        return MISSING
    return timezone.localtime(value).strftime("%H:%M:%S")


@register.filter
def zone(value: datetime | None) -> str:
    """The abbreviation of the clinic's zone at that moment: `GMT`, `CEST`."""
    if value is None or value == "":
        return ""
    return timezone.localtime(value).tzname() or ""


@register.filter
def day(value: date | datetime | None) -> str:
    """A date that cannot be misread: `14 Mar 1978`."""
    if value is None or value == "":
        return MISSING
    if isinstance(value, datetime):
        value = timezone.localtime(value).date()
    return language.day_words(value)


@register.filter
def stamp(value: datetime | None, now: datetime | None = None) -> str:
    """Date and time: `today 08:31` on the day of `now`, else `2 Nov 2026, 14:02`."""
    if value is None or value == "":
        return MISSING
    moment = timezone.localtime(value)
    if now and moment.date() == timezone.localtime(now).date():
        return _("today %(time)s") % {"time": moment.strftime("%H:%M")}
    return f"{day(moment)}, {moment:%H:%M}"


@register.filter
def iso(value: datetime | None) -> str:
    """UTC in ISO 8601 for `datetime`, `data-due` and `data-since` attributes."""
    if value is None or value == "":
        return ""
    return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


@register.filter
def minutes(value: timedelta | Number | None) -> str:
    """A length of time as whole minutes: `30 min`. Durations are cut, never rounded."""
    if value is None or value == "":
        return MISSING
    if isinstance(value, timedelta):
        value = math.floor(value.total_seconds() / 60)
    return _("%(count)s min") % {"count": shown(math.floor(value))}


@register.filter
def ago_min(value: datetime | None, now: datetime) -> str:
    """How long ago: `just now` under a minute, then `3 min ago`, `2 h 5 min ago`."""
    if value is None or value == "":
        return MISSING
    passed = math.floor((now - value).total_seconds() / 60)
    if passed < 1:
        return _("just now")
    if passed < 60:
        return _("%(count)d min ago") % {"count": passed}
    if passed < 24 * 60:
        return _("%(hours)d h %(minutes)d min ago") % {
            "hours": passed // 60,
            "minutes": passed % 60,
        }
    return day(value)


@register.filter
def due_min(value: datetime | None, now: datetime) -> str:
    """Minutes to a due time as the cards count them; clinic.js counts on the same way.

    Begun minutes ahead count whole (`1` until it is due), passed ones when they are
    full: `0` in the first minute, then `+1`.
    """
    if value is None or value == "":
        return MISSING
    seconds = (value - now).total_seconds()
    if seconds > 0:
        return str(math.ceil(seconds / 60))
    passed = math.floor(-seconds / 60)
    return f"+{passed}" if passed else "0"


@register.filter
def due_clock(value: datetime | None, now: datetime) -> str:
    """Minutes and seconds to a due time: `4:48`, then `+0:12` once it has passed."""
    if value is None or value == "":
        return MISSING
    seconds = (value - now).total_seconds()
    whole = math.ceil(seconds) if seconds > 0 else math.floor(-seconds)
    text = f"{whole // 60}:{whole % 60:02d}"
    return text if seconds > 0 or not whole else f"+{text}"


@register.filter
def since_min(value: datetime | None, now: datetime) -> str:
    """Whole minutes since a moment, as clinic.js counts on: `0`, then `1`."""
    if value is None or value == "":
        return MISSING
    return str(max(0, math.floor((now - value).total_seconds() / 60)))


@register.filter
def since_clock(value: datetime | None, now: datetime) -> str:
    """Minutes and seconds since a moment: `0:24`."""
    if value is None or value == "":
        return MISSING
    whole = max(0, math.floor((now - value).total_seconds()))
    return f"{whole // 60}:{whole % 60:02d}"


@register.filter
def late(value: datetime | None, now: datetime) -> str:
    """The label of a passed due time: `+9 min late`; empty while it is ahead."""
    if value is None or value == "" or (now - value) < timedelta(minutes=1):
        return ""
    return _("+%(count)d min late") % {
        "count": math.floor((now - value).total_seconds() / 60)
    }


@register.simple_tag(takes_context=True)
def late_entry(context: dict[str, Any], row: Any) -> SafeString:
    """The label of a row that was written down long after it happened (I3)."""
    if not row.is_late(context["clinic"].late_entry_minutes):
        return SafeString("")
    words = _("late entry, %(time)s") % {"time": clock(row.recorded_at)}
    return format_html(' <span class="warn">{}</span>', words)


@register.filter
def surname(patient: Any) -> str:
    """The name as the banner writes it: `OKONKWO-FEATHERSTONEHAUGH, Adaeze Marie`."""
    if not patient:
        return MISSING
    # The capital of ß is a letter of its own; two of S would be another name.
    capitals = patient.family_name.replace("ß", "ẞ").upper()
    return _isolated(f"{capitals}, {patient.given_names}")


@register.filter
def card_name(patient: Any) -> str:
    """The name as a card writes it: `Okonkwo-Featherstonehaugh, Adaeze Marie`."""
    if not patient:
        return MISSING
    return _isolated(f"{patient.family_name}, {patient.given_names}")


def _isolated(name: str) -> str:
    """A name written from right to left, kept from turning what stands beside it."""
    if any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in name):
        return f"\u2068{name}\u2069"
    return name


@register.filter
def age(patient: Any, now: datetime) -> str:
    """Age on the clinic's day: years, months under two years, days under two months."""
    if not patient:
        return MISSING
    today, born = timezone.localtime(now).date(), patient.birth_date
    months = (today.year - born.year) * 12 + today.month - born.month
    months -= today.day < born.day
    if months >= 24:
        return _("%(count)d y") % {"count": months // 12}
    if months >= 2:
        return _("%(count)d months") % {"count": months}
    return _("%(count)d days") % {"count": (today - born).days}


ACTS = {
    "continue": _lazy("rate unchanged"),
    "keep": _lazy("rate kept"),
    "observe": _lazy("look again"),
    "reduce": _lazy("reduced"),
    "pause": _lazy("paused"),
    "stop": _lazy("stopped"),
    "emergency": _lazy("stopped, emergency"),
}
"""What was done about a flag or a reaction, by its code."""


@register.filter
def act_words(code: str) -> str:
    """What was done, in a nurse's words: `pause` is `paused`."""
    return str(ACTS.get(code, code))


@register.filter
def reason_words(code: str) -> str:
    """A coded reason of a rate, a flag's answer or the end, in words."""
    return str(reasons().get(code) or str(code or "").replace("_", " "))


@cache
def reasons() -> dict[str, Any]:
    """Every coded reason that rates, flags and the end of an infusion keep."""
    return (
        dict(EndReason.choices)
        | dict(NotDoneReason.choices)
        | dict(OverrideReason.choices)
        | dict(ResumeReason.choices)
        | dict(RateReason.choices)
        | {
            "planned": _lazy("As planned"),
            "tolerated": _lazy("Tolerated"),
            "protocol": _lazy("As the protocol proposes"),
            "flag": _lazy("Answer to a flag"),
            "corrected": _lazy("The values were corrected"),
        }
    )


@register.filter
def partial_words(row: Any) -> str:
    """Why a set is not complete: what was typed, else its code in words."""
    return row.partial_text or str(
        dict(PartialReason.choices).get(row.partial_reason, row.partial_reason)
    )


@register.filter
def measures(names: list[str]) -> str:
    """Vital signs by their names: `["spo2", "on_oxygen"]` is `SpO2, air or oxygen`."""
    return in_words(tuple(names))


@register.filter
def unscored(news2: dict[str, Any] | None) -> str:
    """Why a set has no NEWS2, in the language of the screen; empty when it has one."""
    score = news2 or {}
    if missing := score.get("missing"):
        return language.say("missing: {missing}", missing=measures(missing))
    return language.say(score.get("refused", ""))


@register.filter
def inside(words: Any) -> str:
    """A label inside a sentence: small, where the language writes it so."""
    return language.inside(words)


@register.filter
def say(text: Any) -> str:
    """A text of the catalogue or of a protocol, in the language of the screen."""
    return language.say(str(text)) if text else ""


@register.filter
def initials(name: str) -> str:
    """Two letters of a colleague's name for a narrow bar: `KM`."""
    words = str(name).partition(",")[0].split()
    return "".join(word[0] for word in words[:1] + words[1:][-1:]).upper()


@register.simple_tag
def control(field: BoundField, **attrs: Any) -> SafeString:
    """A form field's control as the look wants it, tied to its words below it.

    `{% control field %}` adds the class of a box, names the lines that describe it
    (`<id>_was`, `<id>_hint`, `<id>_error`) and marks it invalid when it has errors.
    Attributes given to the tag or to the widget win; empty ones are left out.
    """
    widget, name = field.field.widget, field.id_for_label
    given = {key.replace("_", "-"): value for key, value in attrs.items() if value}
    described = [f"{name}_{part}" for part in ("was", "hint") if given.pop(part, None)]
    if field.errors:
        described.append(f"{name}_error")
        given.setdefault("aria-invalid", "true")
    if described:
        given.setdefault("aria-describedby", " ".join(described))
    if not isinstance(widget, UNBOXED):
        numeric = widget.attrs.get("inputmode") in {"numeric", "decimal"}
        classes = [widget.attrs.get("class", ""), "box", "" if numeric else "text"]
        given["class"] = " ".join(part for part in classes if part)
        if numeric:
            given.setdefault("enterkeyhint", "next")
        if not isinstance(widget, forms.Select) and "autocomplete" not in widget.attrs:
            given.setdefault("autocomplete", "off")
    return field.as_widget(attrs=given)


@register.filter
def first_id(field: BoundField) -> str:
    """The id of a field's first control: where a link of the error summary leads."""
    if field.use_fieldset:
        return f"{field.auto_id}_0"
    return field.id_for_label


@register.filter
def error_line(field: BoundField) -> str:
    """A field's errors as the summary names them, with its label said once."""
    text = " ".join(str(error) for error in field.errors)
    return text if text.startswith(str(field.label)) else f"{field.label}: {text}"


@register.filter
def get(mapping: Any, key: Any) -> Any:
    """The value of a key that a template only knows as a variable."""
    return mapping.get(key) if mapping else None


@register.filter
def percent_of(value: Number | None, whole: Number | None) -> str:
    """Where a volume stands on its bar, as SVG writes it in any language: `25.20%`."""
    if value is None or not whole:
        return "0%"
    share = min(Fraction(value) / Fraction(whole), Fraction(1))
    return f"{plain(share * 100, places=2)}%"


@register.filter
def svg(value: Number | None) -> str:
    """A coordinate: a point as decimal mark and no thousands mark in any language."""
    return "0" if value is None or value == "" else plain(to_decimal(value))
