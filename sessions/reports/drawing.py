"""Reports as pictures: geometry for SVG, computed here, coloured by the style sheet.

The table under a picture holds every number. Shape, dash and pattern say what colour
says, and small counts have an open mark and a dashed line.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import NamedTuple

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from sessions.reports.results import Report, Row, Value, written

ROWS_DRAWN = 24
"""More groups no eye compares; the largest are drawn, all are in the table."""

LEFT, RIGHT = Decimal(200), Decimal(590)
TOP = 14
LABEL_LETTERS = 21
AXIS_STEPS = (1, 2, 5)


class Line(NamedTuple):
    """One line of a label: how far below the row's middle it stands, and its words."""

    y: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One row of a forest or of times: a point and a line from `low` to `high`."""

    y: int
    lines: tuple[Line, ...]
    point: Decimal | None
    low: Decimal | None
    high: Decimal | None
    is_cut: bool
    is_small: bool
    value: str
    beside: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One part of a stacked bar."""

    key: str
    x: Decimal
    width: Decimal
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One row of shares."""

    y: int
    lines: tuple[Line, ...]
    pieces: tuple[Piece, ...]
    is_small: bool
    value: str
    beside: str


class Tick(NamedTuple):
    x: Decimal
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture with its axis; `kind` is forest, times or shares."""

    kind: str
    title: str
    height: int
    floor: int
    ticks: tuple[Tick, ...]
    marks: tuple[Mark, ...] = ()
    bars: tuple[Bar, ...] = ()
    reference: Decimal | None = None
    notes: tuple[Line, ...] = ()
    left_out: str = ""


def _height(rows: Sequence[Row]) -> int:
    """Room for a row: more when a label needs two lines."""
    return 40 if any(len(row.label) > LABEL_LETTERS for row in rows) else 34


def picture(report: Report) -> Picture | None:
    """The picture of a report; None when there is nothing to draw."""
    drawn, words = _drawn(report)
    if not report.is_found or not drawn:
        return None
    if report.key == "vitals":
        return _shares(report, drawn, words)
    return _marks(report, drawn, words)


def _drawn(report: Report) -> tuple[list[Row], str]:
    """The rows that are drawn, in the order of the table, and what was left out."""
    rows = list(report.groups)
    if len(rows) <= ROWS_DRAWN:
        return rows, ""
    largest = sorted(rows, key=lambda row: -_number(row.values.get("of")))
    kept = {id(row) for row in largest[:ROWS_DRAWN]}
    words = _("Drawn: the {drawn} largest of {rows} groups; the table has all.").format(
        drawn=ROWS_DRAWN, rows=len(rows)
    )
    return [row for row in rows if id(row) in kept], words


FOREST = ("rate", "low", "high", "hits", "of")
TIMES = ("median", "median", "p90", "answered", "of")
FORESTS = {
    "reactions": (
        _lazy(
            "Infusions with a reaction, per 100. Bar: 95 % interval "
            "(Wilson). Dotted line: all, {total}."
        ),
        _lazy("Dashed bar and open mark: under 50 infusions, small."),
    ),
    "flags": (
        _lazy(
            "Flags overridden, in per cent. Bar: 95 % interval "
            "(Wilson). Dotted line: all, {total}."
        ),
        _lazy("Dashed bar and open mark: under 50 flags, small."),
    ),
}
"""What stands under a forest, by report."""


def _marks(report: Report, rows: list[Row], words: str) -> Picture:
    is_forest = report.key in FORESTS
    point, low, high, part, whole = FOREST if is_forest else TIMES
    ends = [_number(row.values.get(high)) for row in rows if not row.is_small]
    points = [_number(row.values.get(point)) for row in rows]
    all_ends = [_number(row.values.get(high)) for row in rows]
    widest = max(ends or all_ends)
    step, top = _axis(max([widest, *points]))
    marks = []
    for place, row in enumerate(rows):
        values = [row.values.get(key) for key in (point, low, high)]
        known = values[0] is not None
        marks.append(
            Mark(
                y=TOP + 20 + place * _height(rows),
                lines=_lines(row.label),
                point=_x(_number(values[0]), top) if known else None,
                low=_x(_number(values[1]), top) if known else None,
                high=_x(_number(values[2]), top) if known else None,
                is_cut=known and _number(values[2]) > top,
                is_small=row.is_small,
                value=_value(row, is_forest),
                beside=_("{part} of {whole}").format(
                    part=written(row.values[part]), whole=written(row.values[whole])
                ),
            )
        )
    total = report.total.values.get(point) if report.total else None
    notes = [words] if words else []
    if is_forest:
        notes += [words.format(total=written(total)) for words in FORESTS[report.key]]
    else:
        notes += [
            _(
                "Minutes. Mark: median. Bar: to the 90th percentile. "
                "Dotted line: median of all, {total}."
            ).format(total=written(total)),
            _("Dashed bar and open mark: rate lowered under 10 times, small."),
        ]
    floor = TOP + 6 + len(rows) * _height(rows)
    return Picture(
        kind="forest" if is_forest else "times",
        title=report.title,
        floor=floor,
        height=floor + 24 + 20 * len(notes),
        ticks=_ticks(step, top),
        marks=tuple(marks),
        reference=_x(_number(total), top) if total is not None else None,
        notes=_notes(floor, notes),
    )


def _value(row: Row, is_forest: bool) -> str:
    if row.values.get("rate" if is_forest else "median") is None:
        return "–"
    if is_forest:
        return written(row.values["rate"])
    return f"{written(row.values['median'])}, {written(row.values['p90'])}"


PIECES = (
    ("on_time", "on_time_share"),
    ("late", "late_share"),
    ("missed", "missed_share"),
)
ROOM_FOR_WORDS = Decimal(38)


def _shares(report: Report, rows: list[Row], words: str) -> Picture:
    bars = []
    for place, row in enumerate(rows):
        whole = _number(row.values["of"])
        pieces, x = [], LEFT
        for key, share in PIECES:
            if not whole or not row.values[key]:
                continue
            width = (RIGHT - LEFT) * _number(row.values[key]) / whole
            text = written(row.values[share])
            pieces.append(
                Piece(
                    key=key.replace("_", "-"),
                    x=_place(x),
                    width=_place(width),
                    text=text if width >= ROOM_FOR_WORDS else "",
                )
            )
            x += width
        share = row.values.get("on_time_share")
        on_time, of = written(row.values["on_time"]), written(row.values["of"])
        bars.append(
            Bar(
                y=TOP + 20 + place * _height(rows),
                lines=_lines(row.label),
                pieces=tuple(pieces),
                is_small=row.is_small,
                value=f"{written(share)} %" if share is not None else "–",
                beside=_("{on_time} of {of}").format(on_time=on_time, of=of),
            )
        )
    notes = [words] if words else []
    notes.append(_("Sets owed, in per cent. Dashed outline: under 50 sets, small."))
    floor = TOP + 6 + len(rows) * _height(rows)
    return Picture(
        kind="shares",
        title=report.title,
        floor=floor,
        height=floor + 48 + 20 * len(notes),
        ticks=_ticks(Decimal(25), Decimal(100)),
        bars=tuple(bars),
        notes=_notes(floor + 24, notes),
    )


def _number(value: Value) -> Decimal:
    return Decimal(0) if value is None or isinstance(value, str) else Decimal(value)


def _place(value: Decimal) -> Decimal:
    return value.quantize(Decimal("0.1"))


def _x(value: Decimal, top: Decimal) -> Decimal:
    """Where a value stands on the axis; beyond its end at the edge."""
    return _place(LEFT + (RIGHT - LEFT) * min(value, top) / top)


def _axis(widest: Decimal) -> tuple[Decimal, Decimal]:
    """A round step of the axis and its end, with five to ten steps of 1, 2 or 5."""
    if widest <= 0:
        return Decimal(1), Decimal(5)
    scale = Decimal(1).scaleb((widest / 6).adjusted())
    for part in (*AXIS_STEPS, 10):
        step = scale * part
        if step * 6 >= widest:
            break
    steps = (widest / step).to_integral_value(rounding=ROUND_CEILING)
    return step, step * max(steps, Decimal(1))


def _ticks(step: Decimal, top: Decimal) -> tuple[Tick, ...]:
    count = int(top / step)
    return tuple(
        Tick(_x(step * place, top), _text(step * place)) for place in range(count + 1)
    )


def _text(value: Decimal) -> str:
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _notes(floor: int, notes: Sequence[str]) -> tuple[Line, ...]:
    return tuple(Line(floor + 40 + 20 * n, text) for n, text in enumerate(notes))


def _lines(label: str) -> tuple[Line, ...]:
    """A label on one line, or two; what is longer ends in dots and is in the table."""
    if len(label) <= LABEL_LETTERS:
        return (Line(5, label),)
    first, rest = "", label.split()
    while rest and len(f"{first} {rest[0]}") <= LABEL_LETTERS:
        first = f"{first} {rest.pop(0)}".strip()
    if not first:
        first, rest = label[:LABEL_LETTERS], [label[LABEL_LETTERS:]]
    second = " ".join(rest)
    if len(second) > LABEL_LETTERS:
        second = second[: LABEL_LETTERS - 1].rstrip() + "…"
    return Line(-3, first), Line(13, second)
