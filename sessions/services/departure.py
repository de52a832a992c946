"""Whether a patient may go: the discharge criteria, checked now (H3)."""

from datetime import datetime
from decimal import Decimal

from sessions.charts import SessionChart, chart_of, is_complete
from sessions.models import InfusionSession
from sessions.rules.findings import Finding, Priority
from sessions.rules.monitoring import Criterion, Departure, discharge
from sessions.rules.sources import Setting
from sessions.services.acts import Refused
from sessions.services.assessments import judge_vitals

SHORT_OF_DOSE = Decimal("0.05")
"""An infusion that ends with less than 95 % in ended early (H22: 5 %)."""


def criteria(session: InfusionSession, *, at: datetime) -> tuple[Criterion, ...]:
    """The discharge criteria of the session's own protocol, checked now (H3)."""
    chart = chart_of(session, at=at)
    if chart.policy is None or chart.start is None:
        raise Refused(
            "CHECK NOT DONE: the protocol of this visit cannot be read. "
            "Ask the charge nurse."
        )
    return criteria_of(chart)


def criteria_of(chart: SessionChart) -> tuple[Criterion, ...]:
    """The same from a chart that was read already."""
    schedule = chart.policy.monitoring.schedule
    source = (
        schedule.observation_first_minutes
        if chart.start.experience == "first"
        else schedule.observation_minutes
    ).source
    complete = [row for row in chart.vitals if is_complete(row)]
    last = complete[-1] if complete else None
    found: tuple[Finding, ...] | None = ()
    if last is not None:
        judged = judge_vitals(chart, last)
        found = None if judged.fault else judged.findings
    return discharge(
        Departure(
            at=chart.at,
            ended_at=chart.ended_at,
            observe_minutes=Setting(
                value=Decimal(chart.start.observation_minutes), source=source
            ),
            last_set_at=last.event_time if last else None,
            last_set_findings=found,
            open_priorities=tuple(
                Priority(raised.flag.priority) for raised in chart.open_flags
            ),
        ),
        schedule,
    )
