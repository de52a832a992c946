"""Open flags at the chairs of a clinic, for the screens that show one visit only.

It reads and never writes; what an alarm says comes from `sessions.charts`.
"""

from datetime import datetime

from sessions.charts import SessionChart, cards_of, for_cards
from sessions.models import Clinic, InfusionSession


def alarms_of(clinic: Clinic, *, at: datetime) -> list[SessionChart]:
    """Visits with an open flag of high or medium priority, the worst first.

    Three queries, however many visits.
    """
    seated = InfusionSession.objects.of(clinic).in_a_chair()
    charts = [chart for chart in cards_of(for_cards(seated), at=at) if chart.loud_flags]
    return sorted(
        charts, key=lambda chart: (chart.severity, chart.loud_flags[0].flag.event_time)
    )
