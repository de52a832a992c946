"""Import of patients from FHIR R4 bundles: each file whole, or nothing of it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from sessions.models import (
    Allergy,
    Clinic,
    Height,
    Patient,
    Presence,
    RiskFactor,
    User,
    Weight,
)
from sessions.rules.names import folded
from sessions.services.acts import Actor, Refused, act
from sessions.services.bundles import BundleError, Found, Row, patients_in
from sessions.services.patients import (
    add_allergy,
    add_patient,
    add_risk_factor,
    append_row,
)

IMPORTER = "FHIR import"
KINDS = {"weight": Weight, "height": Height, "allergy": Allergy, "risk": RiskFactor}
WORDS = {
    "patient": (_lazy("patient"), _lazy("patients")),
    "weight": (_lazy("weight"), _lazy("weights")),
    "height": (_lazy("height"), _lazy("heights")),
    "allergy": (_lazy("allergy"), _lazy("allergies")),
    "risk": (_lazy("risk factor"), _lazy("risk factors")),
}


@dataclass(slots=True, kw_only=True)
class Imported:
    """What one file brought: counts by kind, and everything that was left out."""

    created: Counter[str] = field(default_factory=Counter)
    unchanged: Counter[str] = field(default_factory=Counter)
    left_out: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        """The summary, one line for each thing somebody may have to look at."""
        unchanged = _counted(self.unchanged)
        first = _("created {created}; unchanged {unchanged}").format(
            created=_counted(self.created), unchanged=unchanged
        )
        left = [
            _("left out: {words}").format(words=words)
            + (_(" ({count} times)").format(count=count) if count > 1 else "")
            for words, count in Counter(self.left_out).items()
        ]
        return [
            first,
            *left,
            *(_("look at: {note}").format(note=note) for note in self.notes),
        ]


def _counted(counts: Counter[str]) -> str:
    words = [
        f"{counts[kind]} {one if counts[kind] == 1 else many}"
        for kind, (one, many) in WORDS.items()
        if counts[kind]
    ]
    return ", ".join(words) or _("nothing")


def importer_of(clinic: Clinic, *, at: datetime) -> User:
    """The clinic's name for rows that an import wrote; nobody can sign in with it."""
    username = f"fhir-import-{clinic.code}"
    user = User.objects.filter(username=username).first()
    if user is not None:
        return user
    with act("staff.add", by=Actor.of(user=None, clinic=clinic, at=at)) as done:
        user = User.objects.create_user(
            username=username,
            password=None,
            name=IMPORTER,
            clinic=clinic,
            is_active=False,
            created_at=at,
        )
        done.on(user, username=username)
    return user


def import_bundle(document: Mapping[str, Any], *, by: Actor) -> Imported:
    """Keep the patients of a bundle; a second import of the same changes nothing.

    Raises `BundleError`, naming the entry and the reason, and then keeps nothing.
    """
    found = patients_in(document, zone=by.clinic.zone, at=by.at)
    imported = Imported()
    with transaction.atomic():
        Clinic.objects.select_for_update().get(pk=by.clinic.pk)
        for each in found:
            try:
                _import_patient(each, imported, by)
            except Refused as refused:
                raise BundleError(f"{each.source}: {refused.message}") from refused
    return imported


def _import_patient(found: Found, imported: Imported, by: Actor) -> None:
    patient = _known(found, by)
    imported.left_out += found.left_out
    imported.notes += found.notes
    rows = _new_rows(patient, found, imported)
    if patient is not None:
        imported.unchanged["patient"] += 1
        imported.notes += _differences(patient, found)
        if not rows:
            return
    with act("patient.import", by=by) as done:
        if patient is None:
            patient = add_patient(by=by, imported_from=found.source, **found.header)
            imported.created["patient"] += 1
        for row in rows:
            _keep(patient, row, by)
            imported.created[row.kind] += 1
        counts = dict(Counter(row.kind for row in rows))
        done.on(patient, patient=patient, source=found.source, rows=counts)


def _known(found: Found, by: Actor) -> Patient | None:
    """The patient with this MRN, who must be the same person."""
    patient = Patient.objects.of(by.clinic).filter(mrn=found.header["mrn"]).first()
    if patient is None:
        return None
    same_name = folded(patient.family_name) == folded(found.header["family_name"])
    if patient.birth_date != found.header["birth_date"] or not same_name:
        raise BundleError(
            _(
                "{source}: the MRN belongs to another patient of this "
                "clinic (surname or birth date differ)."
            ).format(source=found.source)
        )
    return patient


def _differences(patient: Patient, found: Found) -> list[str]:
    names = [
        name
        for name in ("given_names", "sex", "phone")
        if found.header[name] and getattr(patient, name) != found.header[name]
    ]
    if not names:
        return []
    words = ", ".join(name.replace("_", " ") for name in names)
    return [
        _("{source}: {words} differ from the record here, which stands.").format(
            source=found.source, words=words
        )
    ]


def _new_rows(patient: Patient | None, found: Found, imported: Imported) -> list[Row]:
    """Rows that are not here yet; corrected and withdrawn ones count as here."""
    if patient is None:
        return _without_twins(found, [], imported)
    here = {
        kind: {
            row.source: row
            for row in model.objects.filter(patient=patient).exclude(source="")
        }
        for kind, model in KINDS.items()
    }
    new = []
    for row in found.rows:
        known = here[row.kind].get(row.source)
        if known is None:
            new.append(row)
            continue
        imported.unchanged[row.kind] += 1
        sent = row.fields.get("as_typed")
        if sent and known.as_typed != sent:
            imported.notes.append(
                _("{source}: now {sent}, kept as {as_typed}; correct by hand.").format(
                    source=row.source, sent=sent, as_typed=known.as_typed
                )
            )
    allergies = list(Allergy.objects.filter(patient=patient).current())
    stated = set(
        RiskFactor.objects.filter(patient=patient)
        .current()
        .values_list("key", flat=True)
    )
    new = _without_own(new, stated, imported)
    return _without_twins(found, allergies, imported, new)


def _without_own(rows: list[Row], stated: set[str], imported: Imported) -> list[Row]:
    """Leave out risk factors about which the clinic has said something itself."""
    kept = []
    for row in rows:
        if row.kind == "risk" and row.fields["key"] in stated:
            words = _("{source}: {key}: the statement here stands").format(
                source=row.source, key=row.fields["key"]
            )
            imported.left_out.append(words)
        else:
            kept.append(row)
    return kept


def _without_twins(
    found: Found,
    allergies: list[Allergy],
    imported: Imported,
    rows: list[Row] | None = None,
) -> list[Row]:
    """Leave out an allergy that is already here, and "none known" beside one."""
    names = {folded(row.substance) for row in allergies if not row.none_known}
    kept = []
    for row in found.rows if rows is None else rows:
        if row.kind == "allergy" and not row.fields["none_known"]:
            name = folded(row.fields["substance"])
            if name in names:
                imported.left_out.append(
                    _("{source}: this allergy is on record").format(source=row.source)
                )
                continue
            names.add(name)
        kept.append(row)
    stated_none = [r for r in kept if r.kind == "allergy" and r.fields["none_known"]]
    for row in stated_none[0 if names else 1 :]:
        imported.left_out.append(
            _("{source}: no allergy known, beside an allergy").format(source=row.source)
        )
        kept.remove(row)
    return kept


def _keep(patient: Patient, row: Row, by: Actor) -> None:
    if row.kind == "allergy":
        add_allergy(
            patient=patient,
            by=by,
            event_time=row.event_time,
            source=row.source,
            **row.fields,
        )
    elif row.kind == "risk":
        add_risk_factor(
            patient=patient,
            by=by,
            event_time=row.event_time,
            source=row.source,
            presence=Presence.PRESENT,
            **row.fields,
        )
    else:
        append_row(
            KINDS[row.kind],
            patient,
            by,
            row.event_time,
            None,
            "",
            source=row.source,
            **row.fields,
        )
