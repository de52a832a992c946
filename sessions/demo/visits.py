"""One visit from check-in to discharge, as a story that waits for its next moment."""

from collections.abc import Generator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sessions.charts import SessionChart, charts_of, for_charts
from sessions.demo.people import PASSWORD
from sessions.demo.world import Case, Told, World, lot_of
from sessions.models import (
    Flag,
    FlagAction,
    FlagPriority,
    InfusionSession,
    Outcome,
    Stage,
)
from sessions.services import (
    finish,
    flags,
    infusions,
    medicines,
    notes,
    patients,
    preparation,
    rates,
    reactions,
    vials,
    vitals,
)
from sessions.services.acts import Refused
from sessions.services.rates import Reason

Waiting = Generator[datetime, datetime, Any]


@dataclass(slots=True, kw_only=True)
class Script:
    """What happens in one visit beside the ordinary.

    `event` happens with the set number `at_set`, or at the moment `event_at`;
    nobody answers it when `ignored`. From `silent_from` on nobody records anything.
    """

    event: str = ""
    at_set: int = 3
    event_at: datetime | None = None
    ignored: bool = False
    silent_from: datetime | None = None
    late_sets: float = 0.08
    correction: bool = False
    walks_away: bool = False
    overrides: bool = False
    late_entry: bool = False


EVENTS: dict[str, dict[str, Any]] = {
    "fall": {"systolic": -25},
    "deep_fall": {"systolic": -36},
    "rise": {"systolic": 34},
    "fever": {"temperature": "1.2"},
    "fast": {"pulse": 28},
    "breath": {"spo2": -4, "rate": 6},
}
"""How a set of vital signs departs from the patient's usual."""

REACTIONS: dict[str, tuple[tuple[str, str], ...]] = {
    "headache": (("headache", "mild"),),
    "flushing": (("flushing", "mild"), ("pruritus", "mild")),
    "chills": (("chills", "moderate"),),
    "nausea": (("nausea", "mild"), ("headache", "mild")),
    "back": (("myalgia_back_pain", "moderate"),),
    "urticaria": (("urticaria", "moderate"),),
    "chest": (("chest_tightness", "severe"),),
}


NOTES = {
    "1": "Line only runs with the arm straight.",
    "4": "Her daughter fetches her: call when the observation begins.",
    "7": "Wants to be asked before each step up.",
}
"""What the next nurse should know, by the last digit of the patient's number."""


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


def visit(world: World, case: Case, session: InfusionSession, script: Script) -> Told:
    """Tell one visit; it stops wherever the clock stops."""
    at = yield session.scheduled_at
    while not world.free:
        at = yield at + minutes(10)
    nurse = world.nurse_with_least()
    chair = world.sit_down(nurse)
    infusions.check_in(session=session, chair=chair, by=world.by(nurse, at))
    at = yield from prepare(world, case, session, nurse, at)
    at = yield from run(world, case, session, script, nurse, at)
    yield from observe(world, case, session, nurse, at)
    world.get_up(nurse, chair)


def prepare(
    world: World, case: Case, session: InfusionSession, nurse: str, at: datetime
) -> Waiting:
    """Everything from check-in to Start."""
    dice, patient = case.dice, case.patient
    at = yield at + minutes(dice.randint(1, 4))
    infusions.check_identity(
        session=session,
        initials=patient.initials,
        birth_year=patient.birth_date.year,
        by=world.by(nurse, at),
    )
    at = yield at + minutes(2)
    patients.record_weight(
        patient=patient,
        weight_kg=case.weight_kg,
        as_typed=str(case.weight_kg),
        by=world.by(nurse, at),
    )
    infusions.note_assessed(session=session, by=world.by(nurse, at))
    at = yield at + minutes(2)
    infusions.attest_checks(
        session=session, answers=preparation.AS_USUAL, by=world.by(nurse, at)
    )
    at = yield at + minutes(dice.randint(2, 5))
    infusions.record_line(
        session=session,
        site=dice.choice(("left forearm", "right forearm", "left hand")),
        gauge=dice.choice(("22 G", "22 G", "20 G")),
        attempts=dice.choice((1, 1, 1, 2)),
        by=world.by(nurse, at),
    )
    earliest = at
    session.refresh_from_db(fields=["stage"])
    for offer in medicines.offers(session, at=at):
        if offer.due and not offer.refusal:
            given = medicines.give(
                session=session, ordered=offer.ordered, by=world.by(nurse, at)
            )
            wait = minutes(offer.ordered.minutes_before or 0)
            earliest = max(earliest, given.event_time + wait)
    at = yield max(at + minutes(6), earliest - minutes(12))
    version = session.order.current
    lot, expiry = lot_of(case, version.product_key, at)
    for grams in version.plan["vials_g"]:
        vials.add_vial(
            session=session,
            product_key=version.product_key,
            grams=Decimal(grams),
            lot=lot,
            expiry=expiry,
            by=world.by(nurse, at),
        )
    at = yield max(at + minutes(3), earliest - minutes(4))
    vitals.record_vitals(
        session=session, reading=reading(case, quiet=True), by=world.by(nurse, at)
    )
    at = yield max(at + minutes(3), earliest + minutes(1))
    start(world, case, session, nurse, at)
    if told := NOTES.get(case.patient.mrn[-1]):
        notes.write_note(
            session=session, text=told, replaces=None, by=world.by(nurse, at)
        )
    return at


def start(
    world: World, case: Case, session: InfusionSession, nurse: str, at: datetime
) -> None:
    """Start at what the pump shows, after the warnings that stand were passed."""
    by = world.by(nurse, at)
    if case.first_ml_per_h is not None:
        try:
            infusions.start(
                session=session, read_back_ml_per_h=case.first_ml_per_h, by=by
            )
        except Refused:
            pass  # something stands before this Start: look what it is
        else:
            return
    fresh = for_charts(InfusionSession.objects).get(pk=session.pk)
    prepared = preparation.prepare(fresh, at=at)
    if prepared.warnings:
        infusions.pass_warnings(
            session=session,
            rules=[hold.rule for hold in prepared.warnings],
            reason_code="prescriber",
            by=by,
        )
    case.first_ml_per_h = prepared.first_rung.pump_ml_per_h
    infusions.start(session=session, read_back_ml_per_h=case.first_ml_per_h, by=by)


def run(
    world: World,
    case: Case,
    session: InfusionSession,
    script: Script,
    nurse: str,
    at: datetime,
) -> Waiting:
    """Step by step up the ladder, to the end or to a stop."""
    dice, sets, happened = case.dice, 0, False
    chart = read(session, at)
    while chart.session.stage == Stage.INFUSING:
        if chart.running.state == "paused":
            at = yield from come_round(world, case, chart, nurse, at)
            chart = read(session, at)
            continue
        running = chart.running
        step_at = running.step_due_at if running.next_rung else None
        wakes = [each for each in (chart.due and chart.due.at, step_at) if each]
        if dice.random() < script.late_sets:
            wakes = [each + minutes(dice.randint(9, 26)) for each in wakes]
        end = running.projected_end_held
        if script.event_at and not happened:
            wakes.append(script.event_at)
        at = yield max(min([*wakes, end]), at + minutes(1))
        if script.silent_from and at >= script.silent_from:
            at = yield at + timedelta(days=1)
        if at >= end:
            finish.end_infusion(session=session, by=world.by(nurse, at))
            if dice.random() > script.late_sets:
                at = yield at + minutes(2)
                vitals.record_vitals(
                    session=session,
                    reading=reading(case, quiet=True),
                    by=world.by(nurse, at),
                )
            break
        sets += 1
        now = script.event_at is None and sets == script.at_set
        now = now or (script.event_at is not None and at >= script.event_at)
        if script.event and now and not happened:
            happened = True
            at = yield from event(world, case, chart, script, nurse, at)
            chart = read(session, at)
            continue
        to = running.next_rung if step_at and step_at <= at else None
        written_late = script.late_entry and sets == 4 and not to
        saved = vitals.record_vitals(
            session=chart.session,
            chart=chart,
            reading=reading(case),
            event_time=at - minutes(18) if written_late else None,
            step_up_to=to.pump_ml_per_h if to else None,
            read_back=bool(to),
            by=world.by(nurse, at),
        )
        chart = saved.chart
        if saved.flag:
            at = yield from answer(world, case, saved.flag, script, nurse, at)
            chart = read(session, at)
        elif script.correction and sets == 2:
            at = yield at + minutes(2)
            chart = correct(world, saved, nurse, at)
        elif script.walks_away and sets == 3 and chart.running.state == "running":
            at = yield from walk_away(world, case, session, nurse, at)
            chart = read(session, at)
    return at


def read(session: InfusionSession, at: datetime) -> SessionChart:
    fresh = for_charts(InfusionSession.objects).get(pk=session.pk)
    return charts_of([fresh], at=at)[0]


def event(
    world: World,
    case: Case,
    chart: SessionChart,
    script: Script,
    nurse: str,
    at: datetime,
) -> Waiting:
    """What the script holds in store: odd vital signs, or a reaction."""
    if script.event in EVENTS:
        saved = vitals.record_vitals(
            session=chart.session,
            chart=chart,
            reading=reading(case, quiet=True, **EVENTS[script.event]),
            by=world.by(nurse, at),
        )
        if saved.flag:
            at = yield from answer(world, case, saved.flag, script, nurse, at)
        return at
    if chart.running.state != "running":
        return at
    symptoms = REACTIONS[script.event]
    worst = symptoms[0][1]
    lower = rates.lower_rungs(chart)
    action = {"mild": "reduce", "moderate": "pause", "severe": "stop"}[worst]
    if action == "reduce" and not lower:
        action = "pause"
    told = reactions.record_reaction(
        session=chart.session,
        symptoms=symptoms,
        action=action,
        to_ml_per_h=lower[0].pump_ml_per_h if action == "reduce" else None,
        read_back=True,
        onset=at - minutes(case.dice.randint(1, 6)),
        by=world.by(nurse, at),
    )
    if script.ignored:
        at = yield at + timedelta(days=1)
    if told.flag:
        open_now = [r for r in told.chart.open_flags if r.flag.pk == told.flag.pk]
        if open_now:
            at = yield from answer(world, case, told.flag, script, nurse, at)
    at = yield from settle(world, case, chart.session, nurse, at)
    reactions.record_outcome(
        session=chart.session,
        reaction_id=told.reaction.pk,
        kind="resolved",
        by=world.by(nurse, at),
    )
    return (yield from go_on(world, case, chart.session, nurse, at))


def answer(
    world: World,
    case: Case,
    flag: Flag,
    script: Script,
    nurse: str,
    at: datetime,
) -> Waiting:
    """Answer a flag as its protocol says, or keep the rate with a reason."""
    session = flag.session
    if script.ignored:
        at = yield at + timedelta(days=1)
    at = yield at + minutes(case.dice.choice((1, 1, 2, 2, 3, 5, 8)))
    by = world.by(nurse, at)
    action = flag.action
    if action == FlagAction.EMERGENCY:
        action = FlagAction.STOP
    milder = action in (FlagAction.OBSERVE, FlagAction.REDUCE) and not flag.reaction_id
    chart = read(session, at)
    state = chart.running.state
    stands = action != FlagAction.STOP if state == "paused" else state != "running"
    if milder and script.overrides:
        code = case.dice.choice(("position", "known", "improving"))
        flags.override_flag(session, flag_id=flag.pk, reason=Reason(code=code), by=by)
    elif action == FlagAction.OBSERVE or stands:
        flags.answer_flag(session, flag_id=flag.pk, action="observe", by=by)
    else:
        lower = rates.lower_rungs(chart)
        if action == FlagAction.REDUCE and not lower:
            action = FlagAction.PAUSE
        flags.answer_flag(
            session,
            flag_id=flag.pk,
            action=action,
            to_ml_per_h=(flag.rate_to_ml_per_h or lower[0].pump_ml_per_h)
            if action == FlagAction.REDUCE
            else None,
            read_back=True,
            by=by,
        )
    if flag.priority == FlagPriority.HIGH:
        flags.call_for_flag(session, flag_id=flag.pk, who="Dr Halvorsen", by=by)
    at = yield from settle(world, case, session, nurse, at)
    return (yield from go_on(world, case, session, nurse, at))


def settle(
    world: World, case: Case, session: InfusionSession, nurse: str, at: datetime
) -> Waiting:
    """Recheck until nothing waits for its recheck; the second look is quiet."""
    for _ in range(3):
        chart = read(session, at)
        waiting = [raised.recheck_at for raised in chart.rechecks]
        if not waiting:
            break
        at = yield max(max(waiting), at + minutes(1))
        saved = vitals.record_vitals(
            session=chart.session,
            reading=reading(case, quiet=True),
            by=world.by(nurse, at),
        )
        if saved.flag:
            flags.answer_flag(
                saved.flag.session,
                flag_id=saved.flag.pk,
                action="observe",
                by=world.by(nurse, at),
            )
    return at


def go_on(
    world: World, case: Case, session: InfusionSession, nurse: str, at: datetime
) -> Waiting:
    """Resume a paused infusion at what the protocol proposes."""
    chart = read(session, at)
    if chart.running.state != "paused" or chart.open_flags:
        return at
    proposed = chart.restart
    at = yield at + minutes(case.dice.randint(1, 5))
    rates.resume(
        session,
        to_ml_per_h=proposed.ml_per_h,
        read_back=True,
        by=world.by(nurse, at),
    )
    return at


def come_round(
    world: World, case: Case, chart: SessionChart, nurse: str, at: datetime
) -> Waiting:
    """A pause that has not ended by itself: answer what is open, go on or stop."""
    session = chart.session
    for raised in chart.open_flags:
        stop = raised.flag.action in (FlagAction.STOP, FlagAction.EMERGENCY)
        flags.answer_flag(
            session,
            flag_id=raised.flag.pk,
            action="stop" if stop else "observe",
            read_back=True,
            by=world.by(nurse, at),
        )
        if stop:
            return at
    at = yield from settle(world, case, session, nurse, at)
    at = yield from go_on(world, case, session, nurse, at)
    if read(session, at).running.state == "paused":
        rates.stop(
            session,
            read_back=True,
            reason=Reason(code="prescriber"),
            by=world.by(nurse, at),
        )
    return at


def walk_away(
    world: World, case: Case, session: InfusionSession, nurse: str, at: datetime
) -> Waiting:
    """A pause that is nobody's fault."""
    at = yield at + minutes(3)
    rates.pause(
        session, read_back=True, reason=Reason(code="away"), by=world.by(nurse, at)
    )
    at = yield at + minutes(case.dice.randint(4, 9))
    return (yield from go_on(world, case, session, nurse, at))


def correct(
    world: World, saved: vitals.RecordedVitals, nurse: str, at: datetime
) -> SessionChart:
    """A pulse that was typed from the wrong line."""
    row = saved.vitals
    values = {name: getattr(row, name) for name in vitals.READING}
    values["pulse"] = row.pulse + 3
    return vitals.correct_vitals(
        session=row.session,
        vitals_id=row.pk,
        reading=values,
        reason="Pulse read from the wrong line.",
        by=world.by(nurse, at),
    ).chart


def observe(
    world: World,
    case: Case,
    session: InfusionSession,
    nurse: str,
    at: datetime,
) -> Waiting:
    """Watch until the time is over, then let the patient go and sign."""
    chart = read(session, at)
    early = chart.rates[-1].kind == "stop"
    until = chart.observe_until
    at = yield max(until - minutes(2), at + minutes(1))
    saved = vitals.record_vitals(
        session=chart.session,
        reading=reading(case, quiet=True),
        by=world.by(nurse, at),
    )
    if saved.flag:
        flags.answer_flag(
            session, flag_id=saved.flag.pk, action="observe", by=world.by(nurse, at)
        )
    at = yield max(until + minutes(case.dice.randint(1, 6)), at + minutes(2))
    finish.discharge(
        session=session,
        outcome=Outcome.STOPPED_EARLY if early else Outcome.COMPLETED,
        password=PASSWORD,
        reason_code="prescriber",
        by=world.by(nurse, at),
    )
    return at


def reading(case: Case, *, quiet: bool = False, **shift) -> dict:
    """A set around the patient's usual; `shift` says how far it departs."""
    dice, person = case.dice, case.person
    wide = 1 if quiet else 2
    systolic = person.systolic + dice.randint(-2, 2) * wide + shift.get("systolic", 0)
    temperature = Decimal("36.7") + Decimal(dice.randint(-1, 1)) / 10
    temperature += Decimal(shift.get("temperature", "0"))
    return {
        "systolic_mmhg": systolic,
        "diastolic_mmhg": systolic * 3 // 5 + dice.randint(-1, 2),
        "pulse": person.pulse + dice.randint(-2, 2) * wide + shift.get("pulse", 0),
        "respiratory_rate": 15 + dice.randint(-1, 1) + shift.get("rate", 0),
        "spo2": 98 + dice.randint(-1, 1) + shift.get("spo2", 0),
        "temperature_c": temperature,
        "temperature_as_typed": str(temperature),
        "spo2_scale": 1,
        "on_oxygen": False,
        "consciousness": "A",
        "pain": 0,
        "tolerated": True,
    }
