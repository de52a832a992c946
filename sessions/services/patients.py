"""Patients: who they are, and what is measured and known about them.

Nothing here is ever changed in place except the patient's header, whose every change
stands in the audit. A correction is a new row that names the old one and says why.
"""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from sessions.models import (
    Allergy,
    Consent,
    Height,
    LabResult,
    Patient,
    PatientRow,
    Presence,
    RiskFactor,
    Severity,
    Weight,
)
from sessions.rules.names import folded
from sessions.services.acts import Actor, Refused, Stale, act

Row = TypeVar("Row", bound=PatientRow)

HEADER = ("mrn", "family_name", "given_names", "birth_date", "sex", "phone", "contact")
AMENDABLE = (*HEADER, "note")
ONCE_MORE = _lazy("Asked again.")
NEWER = _lazy("A newer statement.")
MRN_TAKEN = _lazy("This MRN already belongs to a patient.")


def register_patient(
    *,
    mrn: str,
    family_name: str,
    given_names: str,
    birth_date: date,
    sex: str,
    by: Actor,
    phone: str = "",
    contact: str = "",
    note: str = "",
    imported_from: str = "",
) -> Patient:
    """Add a person to the clinic; an MRN that is taken is refused at its field."""
    with act("patient.register", by=by) as done:
        patient = add_patient(
            by=by,
            mrn=mrn,
            family_name=family_name,
            given_names=given_names,
            birth_date=birth_date,
            sex=sex,
            phone=phone,
            contact=contact,
            note=note,
            imported_from=imported_from,
        )
        done.on(patient, patient=patient, after=_header(patient))
    return patient


def add_patient(*, by: Actor, **fields: Any) -> Patient:
    """Write the row of a new patient, inside an act of the caller's."""
    patient = Patient(clinic=by.clinic, created_at=by.at, created_by=by.user, **fields)
    patient.write_search_text()
    _save_header(patient)
    return patient


def amend_patient(
    *, patient: Patient, version: int | None, by: Actor, **fields: Any
) -> Patient:
    """Change the patient's header; the audit keeps each field before and after.

    `version` is the one the screen was drawn from; `Stale` when it is no longer so.
    """
    with act("patient.amend", by=by, patient=patient) as done:
        row = _locked(patient)
        if version != row.version:
            raise Stale("Somebody changed this patient after you opened the page.")
        before = _header(row)
        for name in AMENDABLE:
            if name in fields:
                setattr(row, name, fields[name])
        after = _header(row)
        changed = [name for name in AMENDABLE if before[name] != after[name]]
        if changed:
            row.version += 1
            row.write_search_text()
            _save_header(row)
        done.on(
            row,
            before={name: before[name] for name in changed},
            after={name: after[name] for name in changed},
        )
    return row


def record_weight(
    *,
    patient: Patient,
    weight_kg: Decimal,
    by: Actor,
    as_typed: str = "",
    event_time: datetime | None = None,
    confirmed_implausible: bool = False,
    source: str = "",
    corrects: Weight | None = None,
    reason: str = "",
) -> Weight:
    """Save one measured weight in kg, with the text as it was typed."""
    with act("patient.weigh", by=by, patient=patient) as done:
        row = append_row(
            Weight,
            patient,
            by,
            event_time,
            corrects,
            reason,
            weight_kg=weight_kg,
            as_typed=as_typed or f"{weight_kg} kg",
            confirmed_implausible=confirmed_implausible,
            source=source,
        )
        done.on(row, weight_kg=weight_kg)
    return row


def record_height(
    *,
    patient: Patient,
    height_cm: Decimal,
    by: Actor,
    as_typed: str = "",
    event_time: datetime | None = None,
    source: str = "",
    corrects: Height | None = None,
    reason: str = "",
) -> Height:
    """Save one measured height in cm, with the text as it was typed."""
    with act("patient.measure", by=by, patient=patient) as done:
        row = append_row(
            Height,
            patient,
            by,
            event_time,
            corrects,
            reason,
            height_cm=height_cm,
            as_typed=as_typed or f"{height_cm} cm",
            source=source,
        )
        done.on(row, height_cm=height_cm)
    return row


def record_allergy(
    *,
    patient: Patient,
    by: Actor,
    substance: str = "",
    reaction: str = "",
    severity: str = Severity.UNKNOWN,
    none_known: bool = False,
    event_time: datetime | None = None,
    source: str = "",
    corrects: Allergy | None = None,
    reason: str = "",
) -> Allergy:
    """Save one allergy, or the statement that none is known on that day.

    "None known" cannot stand beside an allergy: it is refused while one is on record,
    and an allergy that comes later takes its place.
    """
    if none_known == bool(substance):
        raise Refused("Name the substance, or that none is known.", field="substance")
    with act("patient.allergy", by=by, patient=patient) as done:
        _locked(patient)
        row = add_allergy(
            patient=patient,
            by=by,
            substance=substance,
            reaction=reaction,
            severity=severity,
            none_known=none_known,
            event_time=event_time,
            source=source,
            corrects=corrects,
            reason=reason,
        )
        done.on(row, none_known=none_known)
    return row


def add_allergy(
    *,
    patient: Patient,
    by: Actor,
    substance: str,
    none_known: bool,
    event_time: datetime | None = None,
    corrects: Allergy | None = None,
    reason: str = "",
    **fields: Any,
) -> Allergy:
    """Write the row of one allergy, inside an act of the caller's."""
    rows = list(Allergy.objects.filter(patient=patient).current())
    others = [row for row in rows if row.pk != (corrects and corrects.pk)]
    if none_known and any(not row.none_known for row in others):
        raise Refused(
            "An allergy is on record. Withdraw it first if it was entered in error.",
            field="none_known",
        )
    if any(folded(row.substance) == folded(substance) and substance for row in others):
        raise Refused("This allergy is already on record.", field="substance")
    if corrects is None:
        corrects = next((row for row in others if row.none_known), None)
        if corrects is not None:
            reason = ONCE_MORE if none_known else _("An allergy was reported.")
            event_time = event_time or by.at
    return append_row(
        Allergy,
        patient,
        by,
        event_time,
        corrects,
        reason,
        substance=substance,
        none_known=none_known,
        **fields,
    )


def record_risk_factor(
    *,
    patient: Patient,
    key: str,
    presence: str,
    by: Actor,
    detail: str = "",
    due_date: date | None = None,
    supervisor: str = "",
    event_time: datetime | None = None,
    source: str = "",
    corrects: RiskFactor | None = None,
    reason: str = "",
) -> RiskFactor:
    """Save what is known of one risk factor of the catalogue: yes, no or not known."""
    with act("patient.risk-factor", by=by, patient=patient) as done:
        _locked(patient)
        row = add_risk_factor(
            patient=patient,
            by=by,
            event_time=event_time,
            corrects=corrects,
            reason=reason,
            key=key,
            presence=presence,
            detail=detail,
            due_date=due_date,
            supervisor=supervisor,
            source=source,
        )
        done.on(row, key=key, presence=presence)
    return row


def add_risk_factor(
    *,
    patient: Patient,
    by: Actor,
    key: str,
    event_time: datetime | None = None,
    corrects: RiskFactor | None = None,
    reason: str = "",
    **fields: Any,
) -> RiskFactor:
    """Write what is known of one risk factor, inside an act of the caller's.

    A newer statement takes the place of the one before: one at a time counts.
    """
    if corrects is None:
        rows = RiskFactor.objects.filter(patient=patient, key=key).current()
        corrects = rows.first()
        if corrects is not None:
            reason, event_time = NEWER, event_time or by.at
    return append_row(
        RiskFactor, patient, by, event_time, corrects, reason, key=key, **fields
    )


def record_risk_factors(
    *,
    patient: Patient,
    answers: Iterable[Mapping[str, Any]],
    by: Actor,
    version: int | None = None,
) -> list[RiskFactor]:
    """Save several answers given at one time: all of them, or none.

    An answer that says what is already on record adds nothing. `version` is the
    `statements_version` the screen was drawn from; `Stale` when somebody said
    something since, so that an old screen takes nothing back.
    """
    with act("patient.risk-factors", by=by, patient=patient) as done:
        _locked(patient)
        if version is not None and version != statements_version(patient):
            raise Stale(
                "NOT SAVED: somebody recorded risk factors after you opened the page. "
                "Look at what is known now, then save again."
            )
        known = latest_risk_factors(patient)
        rows = [
            add_risk_factor(patient=patient, by=by, **answer)
            for answer in answers
            if not _says_the_same(known.get(answer["key"]), answer)
        ]
        done.on(patient, answers={row.key: row.presence for row in rows})
    return rows


def statements_version(patient: Patient) -> int:
    """The id of the newest statement about any risk factor; 0 when there is none."""
    newest = RiskFactor.objects.filter(patient=patient).order_by("-pk").first()
    return newest.pk if newest else 0


def latest_risk_factors(patient: Patient) -> dict[str, RiskFactor]:
    """The newest current statement about each risk factor."""
    rows = RiskFactor.objects.filter(patient=patient).current()
    return {row.key: row for row in rows.order_by("event_time", "id")}


def _says_the_same(row: RiskFactor | None, answer: Mapping[str, Any]) -> bool:
    if row is None:
        return False
    blank = {"detail": "", "due_date": None, "supervisor": ""}
    return all(
        getattr(row, name) == answer.get(name, empty)
        for name, empty in {**blank, "presence": Presence.UNKNOWN}.items()
    )


def record_lab(
    *,
    patient: Patient,
    test: str,
    by: Actor,
    value: Decimal | None = None,
    value_text: str = "",
    unit: str = "",
    event_time: datetime | None = None,
    source: str = "",
    corrects: LabResult | None = None,
    reason: str = "",
) -> LabResult:
    """Save one laboratory result; `event_time` is when the sample was taken."""
    if value is None and not value_text:
        raise Refused("Enter the result.", field="value")
    with act("patient.lab", by=by, patient=patient) as done:
        row = append_row(
            LabResult,
            patient,
            by,
            event_time,
            corrects,
            reason,
            test=test,
            value=value,
            value_text=value_text,
            unit=unit,
            source=source,
        )
        done.on(row, test=test)
    return row


def record_consent(
    *,
    patient: Patient,
    given: bool,
    scope: str,
    expires_on: date,
    by: Actor,
    witness: str = "",
    event_time: datetime | None = None,
    corrects: Consent | None = None,
    reason: str = "",
) -> Consent:
    """Save that consent to a blood product was given, refused or taken back."""
    with act("patient.consent", by=by, patient=patient) as done:
        row = append_row(
            Consent,
            patient,
            by,
            event_time,
            corrects,
            reason,
            given=given,
            scope=scope,
            expires_on=expires_on,
            witness=witness,
        )
        done.on(row, given=given, expires_on=expires_on)
    return row


def withdraw(*, row: Row, reason: str, by: Actor) -> Row:
    """Mark a row as entered in error; it stays readable and counts no more."""
    with act("patient.withdraw", by=by, patient=row.patient) as done:
        fields = {
            field.attname: getattr(row, field.attname)
            for field in row._meta.concrete_fields
            if field.attname not in STAMPED
        }
        gone = append_row(
            type(row),
            row.patient,
            by,
            row.event_time,
            row,
            reason,
            entered_in_error=True,
            **fields,
        )
        done.on(gone, withdrawn=row.pk)
    return gone


STAMPED = {
    *("id", "clinic_id", "patient_id", "event_time", "recorded_at", "recorded_by_id"),
    *("workstation", "app_version"),
    *("supersedes_id", "correction_reason", "entered_in_error"),
}
"""Columns that every new row gets anew."""


def append_row(
    model: type[Row],
    patient: Patient,
    by: Actor,
    event_time: datetime | None,
    corrects: Row | None,
    reason: str,
    **fields: Any,
) -> Row:
    """Write one row; when it corrects another, that one must still be current."""
    if corrects is not None:
        if not reason:
            raise Refused("Say why this is corrected.", field="reason")
        if corrects.patient_id != patient.pk:
            raise Refused("This entry belongs to another patient.")
        event_time = event_time or corrects.event_time
        gone = model.objects.filter(supersedes=corrects).exists()
        if gone or corrects.entered_in_error:
            raise Stale("Somebody corrected or withdrew this entry before you.")
    try:
        with transaction.atomic():
            return model.objects.create(
                patient=patient,
                supersedes=corrects,
                correction_reason=reason,
                **fields,
                **by.stamp(event_time=event_time),
            )
    except IntegrityError as error:
        if model.objects.filter(supersedes=corrects).exclude(supersedes=None).exists():
            raise Stale("Somebody corrected this entry before you.") from error
        raise Refused("This value cannot be kept: it is outside its limits.") from error


def _locked(patient: Patient) -> Patient:
    return Patient.objects.select_for_update().get(pk=patient.pk)


def _save_header(patient: Patient) -> None:
    taken = Patient.objects.filter(clinic=patient.clinic, mrn=patient.mrn)
    if taken.exclude(pk=patient.pk).exists():
        raise Refused(MRN_TAKEN, field="mrn")
    try:
        with transaction.atomic():
            patient.save()
    except IntegrityError as error:
        raise Refused(MRN_TAKEN, field="mrn") from error


def _header(patient: Patient) -> dict[str, str]:
    return {name: str(getattr(patient, name)) for name in AMENDABLE}
