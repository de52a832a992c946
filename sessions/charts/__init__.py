"""One visit, read whole: the only place where its state and next act are derived.

Session page, board, record, reports and exports take rate, volume, ends, due vitals
and state from here, so that each of them is one and the same number everywhere.
A chart reads and never writes; a service reads it under its own lock. Import its
parts from here.
"""

from sessions.charts.chart import (
    CLOCK_SLACK,
    SessionChart,
    is_complete,
    vital_set,
)
from sessions.charts.raised import RaisedFlag, SeenReaction
from sessions.charts.reading import (
    cards_of,
    chart_of,
    charts_of,
    current_rows,
    for_cards,
    for_charts,
    read_course,
    recorded_by_then,
)

__all__ = [
    "CLOCK_SLACK",
    "RaisedFlag",
    "SeenReaction",
    "SessionChart",
    "cards_of",
    "chart_of",
    "charts_of",
    "current_rows",
    "for_cards",
    "for_charts",
    "is_complete",
    "read_course",
    "recorded_by_then",
    "vital_set",
]
