"""The reports counted once more: plain SQL, and nothing of the reports' code.

Moments are whole seconds, so that both engines compare and subtract them alike. Only
words of this file are put together to queries; values are given beside them.
"""

# ruff: noqa: S608

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from statistics import median, quantiles
from typing import Any

from django.db import connection

GRADES = ("mild", "moderate", "severe", "life-threatening")
CALLS_FOR_LESS = ("reduce", "pause", "stop", "emergency")
HOURS = {"infusion": 0, "24": 24, "72": 72}


def second(column: str) -> str:
    """A moment as seconds since 1970."""
    if connection.vendor == "sqlite":
        return f"unixepoch({column})"
    return f"CAST(extract(epoch FROM {column}) AS bigint)"


def counts(table: str, row: str) -> str:
    """Whether a row counts: nothing came in its place, and it was not withdrawn."""
    return (
        f"NOT {row}.entered_in_error AND NOT EXISTS "
        f"(SELECT 1 FROM {table} newer WHERE newer.supersedes_id = {row}.id)"
    )


def newest(name: str, table: str) -> str:
    """`name (id, stands)`: which row stands for a row now, unless it was withdrawn."""
    return f"""
    {name}_line (id, stands) AS (
      SELECT t.id, t.id FROM {table} t WHERE NOT EXISTS
        (SELECT 1 FROM {table} newer WHERE newer.supersedes_id = t.id)
      UNION ALL
      SELECT t.supersedes_id, line.stands FROM {name}_line line
        JOIN {table} t ON t.id = line.id WHERE t.supersedes_id IS NOT NULL
    ),
    {name} AS (
      SELECT line.id, line.stands FROM {name}_line line
        JOIN {table} t ON t.id = line.stands WHERE NOT t.entered_in_error
    )"""


def visits() -> str:
    """`visit`: every start that counts; parameters: clinic, since, until."""
    return f"""
    visit AS (
      SELECT s.id AS session, {second("st.event_time")} AS start,
             v.product_name AS product, v.indication_name AS indication,
             st.experience AS experience
      FROM infusions_start st
      JOIN infusions_infusionsession s ON s.id = st.session_id
      JOIN infusions_orderversion v ON v.id = st.order_version_id
      WHERE s.clinic_id = %s AND {counts("infusions_start", "st")}
        AND NOT s.entered_in_error
        AND {second("st.event_time")} >= %s AND {second("st.event_time")} < %s
    ),
    change AS (
      SELECT c.id, c.session_id AS session, {second("c.event_time")} AS at, c.kind,
             c.step, c.flag_id AS flag, c.reaction_id AS reaction,
             row_number() OVER (PARTITION BY c.session_id
                                ORDER BY c.event_time, c.id) AS place,
             row_number() OVER (PARTITION BY c.session_id
                                ORDER BY c.event_time DESC, c.id DESC) AS back
      FROM infusions_ratechange c JOIN visit ON visit.session = c.session_id
      WHERE {counts("infusions_ratechange", "c")}
    ),
    over AS (
      SELECT session, at FROM change WHERE back = 1 AND kind IN ('stop', 'end')
    )"""


def rows_of(query: str, *given: Any) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(query, given)
        return cursor.fetchall()


def year(number: int) -> tuple[int, int]:
    """The first second of a year, and of the next one."""
    first, after = (datetime(each, 1, 1, tzinfo=UTC) for each in (number, number + 1))
    return int(first.timestamp()), int(after.timestamp())


STEP = """CASE WHEN kind IN ('stop', 'end') THEN 'After the end'
  WHEN kind = 'pause' THEN 'While paused' WHEN step IS NULL THEN 'Below the first step'
  ELSE 'Step ' || step END"""
EXPERIENCE = """CASE visit.experience WHEN 'first' THEN 'First infusion'
  WHEN 'experienced' THEN 'Later infusion' ELSE 'Not recorded' END"""
BY_VISIT = {
    "product": "visit.product",
    "indication": "visit.indication",
    "experience": EXPERIENCE,
    "month": "visit.start",
    "lot": "coalesce(used.label, 'No vial recorded')",
    "premedication": """CASE WHEN EXISTS (SELECT 1 FROM dose
      WHERE dose.session = visit.session AND dose.at <= visit.start)
      THEN 'Premedication given' ELSE 'No premedication given' END""",
}


def month(moment: int) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%b %Y}"


def reactions(
    clinic: int, number: int, *, by: str, grade: str, window: str
) -> dict[str, tuple[int, int]]:
    """Label to infusions with a reaction, and infusions."""
    lowest = GRADES[GRADES.index(grade) :]
    ends = (
        "TRUE"
        if window == "any"
        else f"(over.at IS NULL OR {{onset}} <= over.at + {HOURS[window] * 3600})"
    ).format(onset=second("r.event_time"))
    begin = f"""WITH {visits()},
    hit AS (
      SELECT r.session_id AS session, {second("r.event_time")} AS at, r.grade
      FROM infusions_reaction r JOIN visit ON visit.session = r.session_id
      LEFT JOIN over ON over.session = r.session_id
      WHERE {counts("infusions_reaction", "r")} AND r.grade IN ({marks(lowest)})
        AND {second("r.event_time")} >= visit.start AND {ends}
    ),
    used AS (
      SELECT DISTINCT v.session_id AS session,
             v.product_name || ', lot ' || v.lot AS label
      FROM infusions_vial v WHERE {counts("infusions_vial", "v")}
    ),
    dose AS (
      SELECT g.session_id AS session, {second("g.event_time")} AS at
      FROM infusions_givenmedicine g
      JOIN infusions_ordermedicine o ON o.id = g.ordered_id
      WHERE o.purpose = 'before' AND {counts("infusions_givenmedicine", "g")}
    )"""
    if by == "grade":
        asked = (
            "SELECT visit.session, hit.grade FROM visit LEFT JOIN hit USING (session)"
        )
    elif by == "step":
        asked = f"""
        SELECT DISTINCT label.session, label.text, EXISTS (
          SELECT 1 FROM hit JOIN change ON change.id = (
            SELECT c.id FROM change c WHERE c.session = hit.session
              AND (c.at < hit.at OR c.place = 1) ORDER BY c.place DESC LIMIT 1)
          WHERE hit.session = label.session AND {STEP} = label.text)
        FROM (SELECT session, {STEP} AS text FROM change) label"""
    else:
        used = "LEFT JOIN used ON used.session = visit.session" if by == "lot" else ""
        asked = f"""SELECT visit.session, {BY_VISIT[by]},
        EXISTS (SELECT 1 FROM hit WHERE hit.session = visit.session)
        FROM visit {used}"""
    found = rows_of(f"{begin} {asked}", clinic, *year(number), *lowest)
    everything = rows_of(
        f"{begin} SELECT count(*), count(DISTINCT hit.session) FROM visit "
        "LEFT JOIN (SELECT DISTINCT session FROM hit) hit USING (session)",
        *(clinic, *year(number), *lowest),
    )
    if by == "grade":
        table = _worst(found, lowest)
    else:
        table = Counter(), Counter()
        for _, label, hit in found:
            name = month(label) if by == "month" else label
            table[0][name] += bool(hit)
            table[1][name] += 1
    of, hits = everything[0]
    return {name: (table[0][name], table[1][name]) for name in table[1]} | {
        "All infusions": (hits, of)
    }


def _worst(found: list[tuple], lowest: tuple[str, ...]) -> tuple[Counter, Counter]:
    worst: dict[int, int] = {}
    for session, grade in found:
        place = GRADES.index(grade) if grade else -1
        worst[session] = max(place, worst.get(session, -1))
    hits, of = Counter(), Counter()
    for grade in lowest:
        of[grade.capitalize()] = len(worst)
        hits[grade.capitalize()] = sum(
            place == GRADES.index(grade) for place in worst.values()
        )
    return hits, of


def marks(values: tuple) -> str:
    return ", ".join(["%s"] * len(values))


# ── time to a lower rate ───────────────────────────────────────────────────────


def runs(session: str, at: str) -> str:
    """Whether the pump ran: the last change before, or else the first one then."""
    return f"""coalesce(
      (SELECT c.kind FROM change c WHERE c.session = {session} AND c.at < {at}
       ORDER BY c.place DESC LIMIT 1),
      (SELECT c.kind FROM change c WHERE c.session = {session} AND c.at = {at}
       ORDER BY c.place LIMIT 1), 'none')
      NOT IN ('none', 'pause', 'stop', 'end')"""


def reductions(
    clinic: int, number: int, *, by: str, source: str
) -> tuple[dict[str, dict[str, Any]], int]:
    """Label to what was counted; and the flags of sets that were corrected since."""
    less = "('" + "', '".join(CALLS_FOR_LESS) + "')"
    begin = f"""WITH RECURSIVE {visits()},
    {newest("flag", "infusions_flag")},
    {newest("seen", "infusions_reaction")},
    {newest("went", "infusions_ratechange")},
    down AS (SELECT * FROM change WHERE kind IN ('reduce', 'pause', 'stop')),
    said AS (
      SELECT flag.stands AS flag, e.kind, e.rate_change_id AS change
      FROM infusions_flagevent e JOIN flag ON flag.id = e.flag_id
      WHERE e.kind IN ('answered', 'overridden')
        AND {counts("infusions_flagevent", "e")}
    ),
    answer AS (
      SELECT flag.stands AS flag, down.at FROM down JOIN flag ON flag.id = down.flag
      UNION
      SELECT said.flag, down.at FROM said
        JOIN went ON went.id = said.change JOIN down ON down.id = went.stands
    ),
    raised AS (
      SELECT f.id, f.session_id AS session, {second("f.event_time")} AS at, f.action,
             f.reaction_id IS NULL AS alone, seen.stands AS reaction, EXISTS
             (SELECT 1 FROM infusions_vitalsigns v WHERE v.supersedes_id = f.vitals_id)
             AS corrected
      FROM infusions_flag f JOIN flag ON flag.stands = f.id AND flag.id = f.id
      JOIN visit ON visit.session = f.session_id
      LEFT JOIN seen ON seen.id = f.reaction_id
    )"""
    flags = rows_of(
        f"""{begin}
        SELECT 'flag', raised.session, raised.action, raised.at, raised.corrected,
          (SELECT min(answer.at) FROM answer
            WHERE answer.flag = raised.id AND answer.at >= raised.at),
          EXISTS (SELECT 1 FROM said
            WHERE said.flag = raised.id AND said.kind = 'overridden'),
          visit.product, visit.indication, {EXPERIENCE}, visit.start
        FROM raised JOIN visit ON visit.session = raised.session
        WHERE raised.alone AND raised.action IN {less}
          AND {runs("raised.session", "raised.at")}""",
        *(clinic, *year(number)),
    )
    onset = second("r.event_time")
    seen = rows_of(
        f"""{begin}
        SELECT r.id, r.session_id, r.action, {onset},
          (SELECT min(at) FROM (
             SELECT down.at FROM down JOIN seen one ON one.id = down.reaction
               WHERE one.stands = r.id
             UNION ALL
             SELECT answer.at FROM answer JOIN raised ON raised.id = answer.flag
               WHERE raised.reaction = r.id) found WHERE found.at >= {onset}),
          EXISTS (SELECT 1 FROM said JOIN raised ON raised.id = said.flag
            WHERE raised.reaction = r.id AND said.kind = 'overridden'),
          visit.product, visit.indication, {EXPERIENCE}, visit.start
        FROM infusions_reaction r JOIN seen ON seen.id = r.id AND seen.stands = r.id
        JOIN visit ON visit.session = r.session_id
        WHERE {runs("r.session_id", onset)}""",
        *(clinic, *year(number)),
    )
    asked = defaultdict(set)
    for reaction, action in rows_of(
        f"""{begin}
        SELECT reaction, action FROM raised WHERE reaction IS NOT NULL AND (
          EXISTS (SELECT 1 FROM said WHERE said.flag = raised.id) OR NOT EXISTS
          (SELECT 1 FROM infusions_flagevent e JOIN flag ON flag.id = e.flag_id
            WHERE flag.stands = raised.id AND e.kind = 'closed'
              AND {counts("infusions_flagevent", "e")}))""",
        *(clinic, *year(number)),
    ):
        asked[reaction].add(action)
    corrected = sum(bool(row[4]) for row in flags)
    calls = [
        ("flag", row[2], row[3], row[5], row[6], *row[7:])
        for row in flags
        if not row[4]
    ]
    for pk, _, did, at, answered, overridden, *about in seen:
        called = [each for each in CALLS_FOR_LESS if each in asked[pk]]
        if called or answered is not None:
            highest = called[-1] if called else ""
            kept = did == "continue" or overridden
            calls.append(("reaction", highest, at, answered, kept, *about))
    calls = [call for call in calls if source in ("", call[0])]
    return _tallied(calls, by, source), corrected if source != "reaction" else 0


ACTION = {
    "": "Reaction without such a flag",
    "reduce": "Reduce",
    "pause": "Pause",
    "stop": "Stop and call",
    "emergency": "Emergency",
}
TOTAL = {"": "Reactions and flags", "reaction": "Reactions", "flag": "Flags"}


def _tallied(calls: list[tuple], by: str, source: str) -> dict[str, dict[str, Any]]:
    groups: dict[str, list[tuple]] = defaultdict(list)
    for call in calls:
        kind, action, at, answered, kept, product, indication, experience, start = call
        label = {
            "product": product,
            "indication": indication,
            "experience": experience,
            "month": month(start),
            "source": "Flags" if kind == "flag" else "Reactions, from onset",
            "action": ACTION[action],
        }[by]
        one = (None if answered is None else (answered - at) / 60, kept)
        groups[label].append(one)
        if label != TOTAL[source]:
            groups[TOTAL[source]].append(one)
    if by == "source":  # a group and the whole may have one name
        groups[TOTAL[source]] = [
            (None if c[3] is None else (c[3] - c[2]) / 60, c[4]) for c in calls
        ]
    return {label: _figures(ones) for label, ones in groups.items()}


def _figures(ones: list[tuple]) -> dict[str, Any]:
    times = sorted(minutes for minutes, _ in ones if minutes is not None)
    kept = sum(1 for minutes, kept in ones if minutes is None and kept)
    figures = {
        "of": len(ones),
        "answered": len(times),
        "kept": kept,
        "neither": len(ones) - len(times) - kept,
    }
    if times:
        figures["median"] = median(times)
        figures["longest"] = times[-1]
        figures["p90"] = (
            quantiles(times, n=10, method="inclusive")[8] if times[1:] else times[0]
        )
    return figures


# ── vital signs on time ────────────────────────────────────────────────────────

FIRST, STEADY, WINDOW, GRACE, OBSERVED = 15, 60, 5, 5, 20
"""Minutes of the shipped protocol, as docs/clinical-rules.md has them."""


def vitals(clinic: int, number: int) -> dict[str, Counter]:
    """Label of a part of the schedule to on time, late and missed, for plain visits."""
    whole = " AND ".join(
        f"v.{name} IS NOT NULL"
        for name in (
            *("systolic_mmhg", "diastolic_mmhg", "pulse", "respiratory_rate"),
            *("spo2", "temperature_c"),
        )
    )
    spans = rows_of(
        f"""WITH {visits()} SELECT visit.session, visit.start,
          (SELECT min(change.at) FROM change
            WHERE change.session = visit.session AND change.kind = 'end'),
          (SELECT {second("g.event_time")} FROM infusions_stagechange g
            WHERE g.session_id = visit.session AND g.to_stage = 'discharged')
        FROM visit""",
        *(clinic, *year(number)),
    )
    taken = defaultdict(list)
    for session, at in rows_of(
        f"""WITH {visits()} SELECT v.session_id, {second("v.event_time")}
        FROM infusions_vitalsigns v JOIN visit ON visit.session = v.session_id
        WHERE {whole} AND {counts("infusions_vitalsigns", "v")} ORDER BY 2""",
        *(clinic, *year(number)),
    ):
        taken[session].append(at)
    found: dict[str, Counter] = defaultdict(Counter)
    for session, start, end, gone in spans:
        sets = [(at - start) / 60 for at in taken[session] if start < at <= gone]
        stop = None if end is None or end > gone else (end - start) / 60
        for part, state in walk(sets, stop, (gone - start) / 60):
            found[part][state] += 1
            found["All sets owed"][state] += 1
    return found


def walk(
    sets: list[float], end: float | None, gone: float
) -> Iterator[tuple[str, str]]:
    """What one visit at one rate owed: a set at 15 minutes, then one in each hour."""
    part, due, last, counted = "First set after the start", FIRST, 0.0, None
    until = gone if end is None else end
    for taken in (each for each in sets if each <= until):
        while due + STEADY - WINDOW <= taken:
            yield part, "missed"
            part, due = "At a steady rate", due + STEADY
        if part.startswith("First") or taken >= due - WINDOW:
            yield part, "on_time" if taken <= due + GRACE else "late"
            counted = taken
        part, due, last = "At a steady rate", taken + STEADY, taken
    while due + STEADY - WINDOW <= until and due + GRACE < until:
        yield part, "missed"
        part, due = "At a steady rate", due + STEADY
    if end is None:
        if due <= gone:
            yield part, "missed"
        return
    if due + GRACE < end:
        yield part, "missed"
    if last != counted and last and end - WINDOW <= last:
        yield "At the end", "on_time"
    owes_end = last < end - WINDOW
    home = end + OBSERVED
    for taken in (each for each in sets if each > end):
        if owes_end and taken < home - WINDOW:
            yield "At the end", "on_time" if taken <= end + GRACE else "late"
        elif owes_end:
            yield "At the end", "missed"
        owes_end = False
        if taken >= home - WINDOW:
            yield "Before discharge", "on_time" if taken <= home + GRACE else "late"
            return
    if owes_end:
        yield "At the end", "missed"
        if gone < home - WINDOW:
            return
    if home <= gone:
        yield "Before discharge", "missed"
