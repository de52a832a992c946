"""The signed dose on the ladder of today: computed anew at each look (D1)."""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _

from sessions.catalogue.indications import indications
from sessions.catalogue.products import products
from sessions.models import InfusionSession, OrderVersion, ProtocolVersion, Start
from sessions.rules.dosing import Ordered
from sessions.rules.dosing_policy import DosingError, DosingPolicy
from sessions.rules.labels import LabelError
from sessions.rules.ladders import Limit
from sessions.rules.monitoring import observation_minutes
from sessions.rules.plans import plan_document
from sessions.rules.quantities import exact
from sessions.rules.sources import Setting, Source
from sessions.rules.titration import Plan, StartRule, plan
from sessions.services import order_plans
from sessions.services.acts import Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Today:
    """The ordered dose on today's ladder: computed anew at each look (D1)."""

    plan: Plan
    rule: StartRule
    protocol: ProtocolVersion
    first_infusion: bool
    brand_switch: bool
    long_gap: bool
    observation: Setting[Decimal]
    risks: frozenset[str]

    @property
    def observation_minutes(self) -> int:
        return int(self.observation.value)

    @property
    def document(self) -> dict[str, Any]:
        """The plan as the Start keeps it, with what made it today's."""
        return plan_document(self.plan) | {
            "today": {
                "experience_because": self.rule.because,
                "observation_minutes": self.observation_minutes,
                "observation_source": self.observation.source.label,
            }
        }


def plan_of_today(
    session: InfusionSession,
    version: OrderVersion | None,
    protocol: ProtocolVersion | None,
    last: Start | None,
    *,
    at: datetime,
) -> tuple[Today | None, str]:
    """The signed dose on the ladder of today's weight, history and protocol.

    The grams stay as signed. The rates follow today's dosing weight by the order's
    rule, and never pass the ceiling that was signed.
    """
    if version is None:
        return None, _("The order has no version yet.")
    if protocol is None:
        return None, _("No protocol is in force: the clinic approves one first.")
    try:
        facts = order_plans.facts_of(
            session.patient,
            clinic=session.clinic,
            product_key=version.product_key,
            indication_key=version.indication_key,
            at=at,
        )
        made = plan(
            product=products()[version.product_key],
            indication=indications()[version.indication_key],
            body=order_plans.body_of(session.patient, facts, session.clinic.day_of(at)),
            ordered=Ordered(total_g=version.given_g * version.days, days=version.days),
            policy=_dose_as_signed(facts.policy),
            region=version.plan.get("region", session.clinic.label_region),
            at_risk=version.at_risk or facts.at_risk,
            experience=facts.start.experience,
            prior_reaction=facts.prior_reaction,
            weight_basis=version.weight_basis,
            tolerance=Limit(
                kind="order",
                exact_ml_per_kg_h=exact(version.ceiling_ml_per_kg_h),
                text=_("the ceiling of the signed order"),
                source=Source(
                    text=f"Order {version.order_id}, version {version.number}"
                ),
                from_policy=False,
            ),
            risks=facts.risks,
        )
    except Refused as refused:
        return None, refused.message
    except (DosingError, LabelError, KeyError) as error:
        return None, _("The plan cannot be computed: {error}").format(error=error)
    if made.dose.given_g != version.given_g:
        return None, _("The plan of today and the signed order differ in grams.")
    first = facts.start.experience == "first"
    switched = (
        last is not None and last.order_version.product_key != version.product_key
    )
    made_today = Today(
        plan=made,
        rule=facts.start,
        protocol=protocol,
        first_infusion=first and last is None,
        brand_switch=first and switched,
        long_gap=first and last is not None and not switched,
        observation=observation_minutes(
            protocol.policy.monitoring.schedule, first_infusion=first
        ),
        risks=facts.risks,
    )
    return made_today, ""


def _dose_as_signed(policy: DosingPolicy) -> DosingPolicy:
    """Take the grams as they were signed: nothing is rounded a second time."""
    rounding = policy.rounding
    return replace(
        policy,
        rounding=replace(rounding, dose_to=replace(rounding.dose_to, value="none")),
    )
