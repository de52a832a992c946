"""Temperatures as this clinic reads them; the record keeps °C."""

from decimal import Decimal
from fractions import Fraction

from sessions.charts import SessionChart
from sessions.models import TemperatureUnit


def in_fahrenheit(chart: SessionChart) -> bool:
    return chart.session.clinic.temperature_unit == TemperatureUnit.FAHRENHEIT


def sign(chart: SessionChart) -> str:
    return "°F" if in_fahrenheit(chart) else "°C"


def shown(chart: SessionChart, celsius: Decimal | Fraction) -> Decimal | Fraction:
    """A stored temperature in the clinic's unit."""
    return celsius * 9 / 5 + 32 if in_fahrenheit(chart) else celsius
