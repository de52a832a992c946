"""What the gate to Start knows: checks, risk factors and screening questions."""

from __future__ import annotations

from functools import cache

from sessions.catalogue.sources import with_sources
from sessions.catalogue.toml_files import CATALOGUE, read_toml
from sessions.rules.documents import Fields
from sessions.rules.screening import Check, GateCatalogue, Question, RiskFactor


@cache
def gate_catalogue() -> GateCatalogue:
    """Read all three lists."""
    checks = _file("checks")
    factors = _file("risk_factors")
    catalogue = GateCatalogue(
        checks=tuple(map(Check.read, checks.rows("checks"))),
        questions=tuple(map(Question.read, checks.rows("questions"))),
        risk_factors=tuple(map(RiskFactor.read, factors.rows("risk_factors"))),
    )
    checks.done()
    factors.done()
    return catalogue


def risk_factors() -> dict[str, RiskFactor]:
    """Every risk factor by its key."""
    return {factor.key: factor for factor in gate_catalogue().risk_factors}


def _file(name: str) -> Fields:
    return Fields(name, with_sources(read_toml(CATALOGUE / f"{name}.toml")))
