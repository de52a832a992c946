"""Planning: the visits of an order's course on their days, and moved to others."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from zoneinfo import ZoneInfo

from sessions.models import (
    Chair,
    InfusionSession,
    Order,
    OrderStatus,
    OrderVersion,
    Stage,
    User,
)
from sessions.rules.language import day_words, inside
from sessions.services.acts import Actor, Refused, act
from sessions.services.headers import locked, save_header


def proposed_dates(
    version: OrderVersion, *, first: date, clock: time, zone: ZoneInfo, already: int = 0
) -> list[datetime]:
    """The days a course asks for from `first` on, at the same time of day.

    A cycle runs on consecutive days; cycles are the ordered interval apart. `already`
    visits of the course are planned; `first` is the day of the next one.
    """
    days, cycles = version.days, version.cycles
    apart = round((version.interval_weeks or Decimal(0)) * 7)
    cycle_of_next, day_of_next = divmod(already, days)
    origin = first - timedelta(days=cycle_of_next * apart + day_of_next)
    return [
        datetime.combine(
            origin + timedelta(days=cycle * apart + day), clock, tzinfo=zone
        ).astimezone(UTC)
        for cycle in range(cycles)
        for day in range(days)
        if cycle * days + day >= already
    ]


def plan_sessions(
    *,
    order: Order,
    dates: Sequence[datetime],
    by: Actor,
    chair: Chair | None = None,
    nurse: User | None = None,
) -> list[InfusionSession]:
    """Plan visits of an order's course, on the cycles and days that it still lacks.

    Refused when the order is not active, when the course holds no more visits, when a
    day lies after the order's last day, or when two visits fall on one day.
    """
    with act("infusion.plan", by=by, patient=order.patient) as done:
        order = (
            Order.objects.select_for_update(of=("self",))
            .select_related("current", "clinic", "patient")
            .get(pk=order.pk)
        )
        version = order.current
        if order.status != OrderStatus.ACTIVE or version is None:
            raise Refused(
                "The order is {status}: visits are planned for an active order.",
                status=lambda: inside(order.get_status_display()),
            )
        zone = order.clinic.zone
        planned = list(live_visits(order))
        taken = {row.scheduled_at.astimezone(zone).date() for row in planned}
        _refuse_dates(version, dates, taken, already=len(planned), zone=zone)
        if nurse is not None and nurse.clinic_id != order.clinic_id:
            raise Refused("That nurse works in another clinic.", field="nurse")
        if chair is not None and chair.clinic_id != order.clinic_id:
            raise Refused("That chair stands in another clinic.", field="chair")
        made = [
            InfusionSession.objects.create(
                clinic=order.clinic,
                patient=order.patient,
                order=order,
                chair=chair,
                nurse=nurse,
                scheduled_at=moment,
                cycle=cycle,
                day=day,
                created_at=by.at,
                created_by=by.user,
            )
            for moment, (cycle, day) in zip(
                sorted(dates), _free_places(version, planned), strict=False
            )
        ]
        done.on(made[0], order=order.pk, visits=[row.pk for row in made])
    return made


def _free_places(
    version: OrderVersion, planned: Sequence[InfusionSession]
) -> Iterator[tuple[int, int]]:
    """Cycle and day of each visit that a course still lacks, in their order."""
    taken = {(row.cycle, row.day) for row in planned}
    for cycle in range(1, version.cycles + 1):
        for day in range(1, version.days + 1):
            if (cycle, day) not in taken:
                yield cycle, day


def live_visits(order: Order):
    """The visits of a course that were not cancelled or withdrawn."""
    return (
        InfusionSession.objects.filter(order=order, entered_in_error=False)
        .exclude(stage=Stage.CANCELLED)
        .order_by("scheduled_at", "id")
    )


def _refuse_dates(
    version: OrderVersion,
    dates: Sequence[datetime],
    taken: set[date],
    *,
    already: int,
    zone: ZoneInfo,
) -> None:
    if not dates:
        raise Refused("Choose at least one day.", field="dates")
    left = version.days * version.cycles - already
    if len(dates) > left:
        raise Refused(
            "The course has {days} visits and {already} are planned: "
            "{left} more can be.",
            days=version.days * version.cycles,
            already=already,
            left=max(left, 0),
            field="dates",
        )
    for moment in dates:
        day = moment.astimezone(zone).date()
        _refuse_day(version, day, taken, field="dates")
        taken.add(day)


def _refuse_day(
    version: OrderVersion, day: date, taken: set[date], *, field: str
) -> None:
    """Refuse a day after the order's last one, or that has a visit of the course."""
    if day > version.expires_on:
        raise Refused(
            "{day} lies after the order's last day, {expires_on}.",
            day=partial(day_words, day),
            expires_on=partial(day_words, version.expires_on),
            field=field,
        )
    if day in taken:
        raise Refused(
            "A visit of this course is planned on {day} already.",
            day=partial(day_words, day),
            field=field,
        )


def allocate(
    *,
    session: InfusionSession,
    scheduled_at: datetime,
    chair: Chair | None,
    nurse: User | None,
    by: Actor,
    seen_version: int | None = None,
) -> InfusionSession:
    """Move a planned visit to another time, chair or nurse.

    A day that the course could not be planned on is refused here too.
    """
    with act("infusion.allocate", by=by, patient=session.patient) as done:
        header = locked(session, seen_version, by=by)
        if header.stage != Stage.PLANNED:
            raise Refused("Only a planned visit can be moved.")
        clinic, version = header.clinic, header.order.current
        day = clinic.day_of(scheduled_at)
        if version is not None and day != clinic.day_of(header.scheduled_at):
            others = live_visits(header.order).exclude(pk=header.pk)
            taken = {clinic.day_of(row.scheduled_at) for row in others}
            _refuse_day(version, day, taken, field="day")
        before = [header.scheduled_at, header.chair_id, header.nurse_id]
        header.scheduled_at, header.chair, header.nurse = scheduled_at, chair, nurse
        save_header(header, "scheduled_at", "chair", "nurse")
        done.on(header, before=before)
    return header
