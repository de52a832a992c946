"""Medicines given beside the immunoglobulin: ordered, checked, appended."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from django.utils.translation import gettext as _

from sessions.catalogue.medicines import Medicine, medicines
from sessions.models import (
    IN_A_CHAIR,
    Allergy,
    GivenMedicine,
    InfusionSession,
    OrderMedicine,
    Patient,
    Purpose,
)
from sessions.rules.quantities import plain
from sessions.services.acts import Actor, Refused, act
from sessions.services.headers import (
    confirm_correction,
    locked,
    refuse_time,
    sign_correction,
)
from sessions.services.locks import refuse_backwards

DAY = timedelta(hours=24)
LONGEST_GAP = 8 * DAY
ALMOST_A_MINUTE = timedelta(seconds=59, microseconds=999_999)
"""Added to a time from which something is free: clocks show whole minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One ordered medicine as the nurse sees it: may it be given now, and if not, why.

    `given` are the doses of this visit, `taken_back` those that were none, each with
    the row that took it back (`superseded_by`). `refusal` is empty when it may be
    given; `is_out` says that it is refused whenever it was given, not only now.
    `warning` says what a published order set would not: the order decides.
    """

    ordered: OrderMedicine
    given: tuple[GivenMedicine, ...]
    taken_back: tuple[GivenMedicine, ...] = ()
    refusal: str = ""
    is_out: bool = False
    warning: str = ""

    @property
    def due(self) -> bool:
        """A premedication of this visit that was not given yet."""
        return self.ordered.purpose == Purpose.BEFORE and not self.given

    @property
    def start_from(self) -> datetime | None:
        """The earliest Start that leaves the ordered minutes after the dose."""
        minutes = self.ordered.minutes_before
        if not self.given or minutes is None:
            return None
        return self.given[-1].event_time + timedelta(minutes=minutes)


def offers(session: InfusionSession, *, at: datetime) -> list[Offer]:
    """Every medicine ordered with this visit, with what was given and what holds it."""
    ordered = list(
        OrderMedicine.objects.filter(order_version=session.order_version)
        .current()
        .order_by("-purpose", "id")
    )
    recent = _recent(session.patient, at=at)
    allergies = list(Allergy.objects.filter(patient=session.patient).current())
    gone = list(
        GivenMedicine.objects.filter(
            session=session, superseded_by__entered_in_error=True
        )
        .select_related("recorded_by", "superseded_by")
        .order_by("event_time", "id")
    )
    return [
        replace(
            _offer(session, medicine, recent, allergies, at=at),
            taken_back=tuple(row for row in gone if row.ordered_id == medicine.pk),
        )
        for medicine in ordered
    ]


def give(
    *,
    session: InfusionSession,
    ordered: OrderMedicine,
    by: Actor,
    event_time: datetime | None = None,
) -> GivenMedicine:
    """Record one dose of an ordered medicine, given now or at `event_time`.

    Refused when an allergy speaks against it, when the most for any 24 hours would be
    passed, within the ordered gap after or before another dose, before the check-in and
    in the future.
    """
    with act("medicine.give", by=by, patient=session.patient) as done:
        header = (
            InfusionSession.objects.select_for_update(of=("self",))
            .select_related("patient", "order__current", "clinic")
            .get(pk=session.pk)
        )
        refuse_backwards(header, by=by)
        row = append_given(header, ordered, by=by, event_time=event_time)
        done.on(row, medicine=row.medicine_key, dose=row.dose)
    return row


def append_given(
    header: InfusionSession,
    ordered: OrderMedicine,
    *,
    by: Actor,
    event_time: datetime | None = None,
) -> GivenMedicine:
    """Check and append one dose inside an act; the caller holds the visit's lock."""
    at = event_time or by.moment
    if header.entered_in_error or header.stage not in IN_A_CHAIR:
        raise Refused(_outside_the_visit)
    refuse_time(header, event_time, by=by)
    version = header.order_version
    if version is None or ordered.order_version_id != version.pk:
        raise Refused("This medicine is not part of the order in force. Look again.")
    if not OrderMedicine.objects.filter(pk=ordered.pk).current().exists():
        raise Refused("This medicine was taken off the order.")
    allergies = list(Allergy.objects.filter(patient=header.patient).current())
    facts = (header, ordered, _recent(header.patient, at=at), allergies)
    if _offer(*facts, at=at).refusal:
        field = "event_time" if event_time else ""
        raise Refused(lambda: _offer(*facts, at=at).refusal, field=field)
    return GivenMedicine.objects.create(
        session=header,
        ordered=ordered,
        medicine_key=ordered.medicine_key,
        name=ordered.name,
        dose=ordered.dose,
        dose_unit=ordered.dose_unit,
        route=ordered.route,
        **by.stamp(event_time=event_time),
    )


def withdraw_given(
    *, given: GivenMedicine, reason: str, by: Actor, password: str = ""
) -> GivenMedicine:
    """Take back a dose that was recorded and not given; the row stays readable.

    A signed record is signed again.
    """
    confirm_correction(given.session, password=password, by=by)
    with act("medicine.withdraw", by=by, patient=given.session.patient) as done:
        header = locked(given.session, by=by)
        if not GivenMedicine.objects.filter(pk=given.pk).current().exists():
            raise Refused("This dose was already taken back.")
        if not reason.strip():
            raise Refused("Say why this dose is taken back.", field="correction_reason")
        row = GivenMedicine.objects.create(
            session=header,
            supersedes=given,
            correction_reason=reason,
            entered_in_error=True,
            ordered=given.ordered,
            medicine_key=given.medicine_key,
            name=given.name,
            dose=given.dose,
            dose_unit=given.dose_unit,
            route=given.route,
            **by.stamp(event_time=given.event_time),
        )
        sign_correction(given.session, header, by=by)
        done.on(row, reason=reason)
    return row


def allergy_against(
    medicine_key: str, name: str, allergies: Iterable[Allergy]
) -> Allergy | None:
    """The patient's allergy to this medicine, to its class or by another name of it."""
    words = substances(medicine_key, name)
    words |= {other for word in words for other in ALSO_CALLED.get(word, ())}
    words |= {word for entry in _entries(medicine_key) for word in _classes(entry)}
    for allergy in allergies:
        if allergy.none_known:
            continue
        said = {allergy.substance.casefold().strip(), allergy.substance_key.casefold()}
        if any(word in text for word in words for text in said if text):
            return allergy
        if any(
            len(text) >= SHORTEST_WORD and text in w for text in said for w in words
        ):
            return allergy
    return None


ALSO_CALLED = {
    "paracetamol": ("acetaminophen", "tylenol"),
    "adrenaline": ("epinephrine",),
    "salbutamol": ("albuterol",),
    "diphenhydramine": ("benadryl",),
}
"""One substance, several names: doses add up, and an allergy to one is to all."""
ONE_NAME = {other: name for name, others in ALSO_CALLED.items() for other in others}
SHORTEST_WORD = 4
MG = {"microgram": Decimal("0.001"), "mg": Decimal(1), "g": Decimal(1000)}
"""Units of mass that add up; others are compared only with themselves."""


def substances(medicine_key: str, name: str) -> set[str]:
    """What a medicine consists of, under one name for each substance."""
    drugs = [entry.drug for entry in _entries(medicine_key)] or [name]
    parts = {part.strip().casefold() for drug in drugs for part in drug.split("+")}
    return {ONE_NAME.get(part, part) for part in parts}


def _entries(medicine_key: str) -> list[Medicine]:
    return [entry for entry in medicines() if entry.key == medicine_key]


def _classes(entry: Medicine) -> set[str]:
    return {part.strip().casefold() for part in re.split(r"[,/]", entry.drug_class)}


def _in_unit(dose: Decimal, unit: str, wanted: str) -> Decimal | None:
    """A dose in another unit; None where the two do not add up."""
    if unit == wanted:
        return dose
    if unit in MG and wanted in MG:
        return dose * MG[unit] / MG[wanted]
    return None


def _recent(patient: Patient, *, at: datetime) -> list[GivenMedicine]:
    """The patient's doses that a gap or a maximum may still look at, oldest first.

    Those given after `at` too: a dose may be written down after a later one was.
    """
    return list(
        GivenMedicine.objects.filter(
            session__patient=patient,
            session__entered_in_error=False,
            event_time__gt=at - LONGEST_GAP,
            event_time__lt=at + LONGEST_GAP,
        )
        .current()
        .order_by("event_time", "id")
    )


def _offer(
    session: InfusionSession,
    ordered: OrderMedicine,
    recent: list[GivenMedicine],
    allergies: list[Allergy],
    *,
    at: datetime,
) -> Offer:
    wanted = substances(ordered.medicine_key, ordered.name)
    same = [row for row in recent if substances(row.medicine_key, row.name) & wanted]
    given = tuple(
        row
        for row in same
        if row.session_id == session.pk
        and (row.ordered_id == ordered.pk or row.ordered_id is None)
    )
    never = _never(session, ordered, given, allergies)
    return Offer(
        ordered=ordered,
        given=given,
        refusal=never or _not_at(session, ordered, same, at=at),
        is_out=bool(never),
        warning=_beyond_published(session, ordered, same),
    )


def _beyond_published(
    session: InfusionSession, ordered: OrderMedicine, same: list[GivenMedicine]
) -> str:
    """That one dose more is beyond what its source gives in a visit; mostly empty."""
    key = ordered.medicine_key
    given = [r for r in same if r.session_id == session.pk and r.medicine_key == key]
    for entry in _entries(key):
        if entry.max_per_session is not None and len(given) >= entry.max_per_session:
            return _(
                "{name}: {given} of at most {most} doses in a visit are given "
                "({source}). Ask the prescriber."
            ).format(
                name=ordered.name,
                given=len(given),
                most=plain(entry.max_per_session),
                source=entry.source.label,
            )
    return ""


def _never(
    session: InfusionSession,
    ordered: OrderMedicine,
    given: tuple[GivenMedicine, ...],
    allergies: list[Allergy],
) -> str:
    """Why no dose may be given whatever the time; empty when one may."""
    if session.stage not in IN_A_CHAIR:
        return _outside_the_visit()
    against = allergy_against(ordered.medicine_key, ordered.name, allergies)
    if against is not None:
        reaction = f" ({against.reaction})" if against.reaction else ""
        return _(
            "Allergy to {substance}{reaction}: {name} is not given. "
            "Ask the prescriber for another."
        ).format(substance=against.substance, reaction=reaction, name=ordered.name)
    if given and ordered.purpose == Purpose.BEFORE:
        return _("{name} was given already in this visit.").format(name=ordered.name)
    return ""


def _not_at(
    session: InfusionSession,
    ordered: OrderMedicine,
    same: list[GivenMedicine],
    *,
    at: datetime,
) -> str:
    """Why a dose may not be given at a moment; empty when it may."""
    before = [row.event_time for row in same if row.event_time <= at]
    after = [row.event_time for row in same if row.event_time > at]
    gap = timedelta(minutes=ordered.gap_minutes or 0)
    if before and at < before[-1] + gap:
        return _(
            "{name}: next dose from {clock} ({gap_minutes} min between doses)."
        ).format(
            name=ordered.name,
            clock=_clock(session, before[-1] + gap + ALMOST_A_MINUTE),
            gap_minutes=ordered.gap_minutes,
        )
    if after and after[0] < at + gap:
        return _(
            "{name}: the next dose was given at {clock} "
            "({gap_minutes} min between doses)."
        ).format(
            name=ordered.name,
            clock=_clock(session, after[0]),
            gap_minutes=ordered.gap_minutes,
        )
    if ordered.max_in_24h is None:
        return ""
    for end in (at, *(moment for moment in after if moment < at + DAY)):
        refusal = _too_much(ordered, ordered.max_in_24h, same, at=end)
        if refusal:
            return refusal
    return ""


def _outside_the_visit() -> str:
    return _("Medicines are given from check-in to discharge only.")


def _clock(session: InfusionSession, moment: datetime) -> str:
    return f"{moment.astimezone(session.clinic.zone):%H:%M}"


def _too_much(
    ordered: OrderMedicine,
    max_in_24h: Decimal,
    same: list[GivenMedicine],
    *,
    at: datetime,
) -> str:
    """Why one dose more would pass the most of the 24 hours that end at a moment."""
    lately = [row for row in same if at - DAY < row.event_time <= at]
    doses = [_in_unit(row.dose, row.dose_unit, ordered.dose_unit) for row in lately]
    if None in doses:
        return _(
            "{name} was given in another unit within 24 h: add the "
            "doses up by hand and ask the prescriber."
        ).format(name=ordered.name)
    total = sum(doses, Decimal(0))
    if total + ordered.dose <= max_in_24h:
        return ""
    return _(
        "{name}: {total} of at most {max_in_24h} {dose_unit} in 24 "
        "h are given; {dose} {dose_unit} more would pass it."
    ).format(
        name=ordered.name,
        total=plain(total),
        max_in_24h=plain(max_in_24h),
        dose_unit=ordered.dose_unit,
        dose=plain(ordered.dose),
    )
