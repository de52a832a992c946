"""Numbers: how they are read, converted, rounded and written.

All arithmetic is exact. Values that end are `Decimal`; what may not end (a
division by weight or by 60) is a `Fraction` until it is shown.
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction

from sessions.rules.language import say

Number = Decimal | Fraction | int

DECIMALS_SHOWN = 6
"""Decimals of a number that does not end, as the fixed commands print it."""

MINUTES_PER_HOUR = 60
MG_PER_G = 1000
ML_PER_100ML = 100

RATE_UNITS = ("mL/kg/h", "mL/kg/min", "mg/kg/min", "mL/h")


class NumberError(ValueError):
    """A typed number was refused; the message says why in plain words."""


def parse_decimal(text: str, *, places: int, digits: int) -> Decimal:
    """Read a typed number: ASCII digits, one optional point, nothing else.

    `digits` is the most digits before the point, `places` after it. Anything that
    could be read in two ways (70,5 or 1,070) is refused, and surplus decimals are
    refused, never rounded. White space around the number is ignored.

    Raises `NumberError` naming the problem.
    """
    text = text.strip()
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", text, re.ASCII):
        raise NumberError(_problem(text))
    whole, _, decimals = text.partition(".")
    if len(whole) > digits:
        raise NumberError(
            say("Too many digits: at most {digits} before the point.", digits=digits)
        )
    if len(decimals) > places:
        raise NumberError(_too_many_decimals(places))
    return Decimal(text)


def _too_many_decimals(places: int) -> str:
    if places == 0:
        return say("Write a whole number, without a point.")
    return say("Too many decimals: at most {places} after the point.", places=places)


def _problem(text: str) -> str:
    """Say which rule of the number grammar a refused text breaks."""
    rules = (
        (r"", say("Enter a number.")),
        (
            r".*,.*",
            say("Use a point for decimals and no thousands mark, such as 1070.5."),
        ),
        (r"[+-].*", say("Write the number without a sign.")),
        (r"\.[0-9]+", say("Write a digit before the point, such as 0.5.")),
        (r"[0-9]+\.", say("Write a digit after the point, or leave the point out.")),
        (r"[0-9.]*\s[0-9.\s]*", say("Write the number without spaces.")),
        (r"[0-9.]+[eE].*", say("Write the number in full, without an exponent.")),
        (r"[0-9._]*_[0-9._]*", say("Write the number without underscores.")),
        (r"[0-9.]+", say("Write one point only.")),
    )
    for pattern, message in rules:
        if re.fullmatch(pattern, text, re.ASCII | re.DOTALL):
            return message
    return say("Write the number with the digits 0 to 9 only.")


def exact(value: Number) -> Fraction:
    """The same value as a fraction, so that no division is rounded."""
    return Fraction(value)


def ends(value: Fraction) -> bool:
    """Whether the value can be written with a finite number of decimals."""
    denominator = value.denominator
    for prime in (2, 5):
        while denominator % prime == 0:
            denominator //= prime
    return denominator == 1


def to_decimal(value: Number, *, rounding: str = ROUND_HALF_UP) -> Decimal:
    """The value as a decimal: unchanged if it ends, else with six decimals."""
    if isinstance(value, Decimal):
        return value
    fraction = Fraction(value)
    with localcontext() as context:
        context.prec = 60
        quotient = Decimal(fraction.numerator) / Decimal(fraction.denominator)
        if ends(fraction):
            return quotient
        return quotient.quantize(Decimal(1).scaleb(-DECIMALS_SHOWN), rounding=rounding)


def round_down(value: Number, resolution: Decimal) -> Decimal:
    """The largest multiple of `resolution` that is not more than `value`."""
    return int(exact(value) // exact(resolution)) * resolution


def json_number(value: Number) -> str:
    """The number as the fixed commands print it: exact, or six decimals."""
    if isinstance(value, Fraction) and not ends(value):
        return format(to_decimal(value), "f")
    return plain(value)


def plain(value: Number, places: int | None = None) -> str:
    """The number with a point, a leading zero and no exponent or trailing zeros.

    With `places` it is rounded (half up) and written with exactly that many
    decimals, as a temperature is.
    """
    number = to_decimal(value)
    if places is not None:
        with localcontext() as context:
            context.prec = 60
            step = Decimal(1).scaleb(-places)
            return format(number.quantize(step, rounding=ROUND_HALF_UP), "f")
    text = format(number, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def shown(value: Number, at_most: int | None = None) -> str:
    """The number as a screen writes it, with a thousands mark from 10,000.

    `at_most` limits the decimals (half up); trailing zeros are left out.
    """
    if at_most is not None:
        value = Decimal(plain(value, places=at_most))
    whole, point, decimals = plain(value).partition(".")
    if abs(int(whole)) >= 10_000:
        whole = f"{int(whole):,}"
    return whole + point + decimals


def ml_per_h(rate_ml_per_kg_h: Number, weight_kg: Number) -> Fraction:
    """The exact mL/h of a rate per kilogram, before the pump's rounding."""
    return exact(rate_ml_per_kg_h) * exact(weight_kg)


def mg_per_ml(g_per_100ml: Number) -> Fraction:
    """Milligrams of immunoglobulin in one millilitre: 10 % is 100 mg/mL."""
    return exact(g_per_100ml) * MG_PER_G / ML_PER_100ML


def mg_per_kg_min(rate_ml_per_kg_h: Number, g_per_100ml: Number) -> Fraction:
    """The exact mg/kg/min of a rate in mL/kg/h."""
    return exact(rate_ml_per_kg_h) * mg_per_ml(g_per_100ml) / MINUTES_PER_HOUR


def ml_per_kg_h(
    rate: Number, unit: str, *, weight_kg: Number, g_per_100ml: Number
) -> Fraction:
    """The canonical mL/kg/h of a rate given in any of `RATE_UNITS`, exactly."""
    if unit == "mL/kg/h":
        return exact(rate)
    if unit == "mL/kg/min":
        return exact(rate) * MINUTES_PER_HOUR
    if unit == "mg/kg/min":
        return exact(rate) * MINUTES_PER_HOUR / mg_per_ml(g_per_100ml)
    if unit == "mL/h":
        return exact(rate) / exact(weight_kg)
    raise NumberError(
        say(
            "Unknown unit {unit}: use one of {units}.",
            unit=unit,
            units=", ".join(RATE_UNITS),
        )
    )


def pump_rate(
    rate_ml_per_kg_h: Number, weight_kg: Number, resolution_ml_per_h: Decimal
) -> Decimal:
    """The number to set on the pump, in mL/h: always rounded down.

    The one function that turns mL/kg/h into the pump's mL/h. Rounding down keeps
    the rate at or below every limit that was set in mL/kg/h (hazard H6).
    """
    return round_down(ml_per_h(rate_ml_per_kg_h, weight_kg), resolution_ml_per_h)


def volume_ml(grams: Number, g_per_100ml: Number) -> Fraction:
    """The exact volume that holds so many grams."""
    return exact(grams) * ML_PER_100ML / exact(g_per_100ml)
