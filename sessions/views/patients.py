"""Patients: the list, one patient whole, and the forms that add to what is known."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.debug import sensitive_post_parameters

from sessions.access import ClinicRequest, access, actor, patient_in_reach
from sessions.forms.base import ClinicForm
from sessions.forms.patients import (
    AllergyForm,
    ConsentForm,
    HeightForm,
    ImportForm,
    LabForm,
    PatientForm,
    PregnancyForm,
    RiskFactorsForm,
    SearchForm,
    WeightForm,
    WithdrawForm,
    named,
)
from sessions.models import (
    Allergy,
    Consent,
    Height,
    LabResult,
    Patient,
    RiskFactor,
    Weight,
)
from sessions.models.patients import alike
from sessions.persons import Person, in_words, person_of
from sessions.services import patients as doors
from sessions.services.acts import Actor, view_of
from sessions.services.bundles import MOST_BYTES, BundleError, read_document
from sessions.services.importing import import_bundle
from sessions.views.acting import STALE, attempt
from sessions.views.saving import SAVED, save

PAGE = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of row about a patient: its form, its door and its words."""

    model: type
    door: Callable[..., Any]
    word: str
    said: str
    form: type[ClinicForm] | None = None


KINDS = {
    "weights": Kind(
        model=Weight,
        form=WeightForm,
        door=doors.record_weight,
        word=_lazy("weight"),
        said=_lazy("Weight saved."),
    ),
    "heights": Kind(
        model=Height,
        form=HeightForm,
        door=doors.record_height,
        word=_lazy("height"),
        said=_lazy("Height saved."),
    ),
    "allergies": Kind(
        model=Allergy,
        form=AllergyForm,
        door=doors.record_allergy,
        word=_lazy("allergy"),
        said=_lazy("Allergy saved."),
    ),
    "labs": Kind(
        model=LabResult,
        form=LabForm,
        door=doors.record_lab,
        word=_lazy("laboratory result"),
        said=_lazy("Result saved."),
    ),
    "consents": Kind(
        model=Consent,
        form=ConsentForm,
        door=doors.record_consent,
        word=_lazy("consent"),
        said=_lazy("Consent saved."),
    ),
    "pregnancy": Kind(
        model=RiskFactor,
        form=PregnancyForm,
        door=doors.record_risk_factor,
        word=_lazy("pregnancy"),
        said=_lazy("Saved."),
    ),
    "risks": Kind(
        model=RiskFactor,
        door=doors.record_risk_factors,
        word=_lazy("risk factor"),
        said=_lazy("Risk factors saved."),
    ),
}
"""Kinds of rows by the word in their address. Risk factors are answered together."""

ADDRESSES = {kind: f"patient-{kind}" for kind in KINDS}
"""Names of the addresses, by kind; `-correct` and `-withdraw` are about one row."""


# the list


@access("view_patient", methods=("GET", "POST"))
@sensitive_post_parameters("q")
def patients(request: ClinicRequest) -> HttpResponse:
    """The clinic's patients; what is looked for comes by POST, never in an address."""
    form = SearchForm(request.POST or {"q": "", "page": "1"})
    found = Patient.objects.of(request.clinic)
    words = form.cleaned_data["q"] if form.is_valid() else None
    found = found.none() if words is None else found.matching(words)
    pages = Paginator(found, PAGE)
    page = pages.get_page(form.page_number)
    context = {
        "form": form,
        "q": form.data.get("q", ""),
        "page": page,
        "rows": _with_similar(request, list(page)),
        "now": timezone.now(),
    }
    template = "patients/_results.html" if request.htmx else "patients/list.html"
    return render(request, template, context, status=422 if form.errors else 200)


def _with_similar(
    request: ClinicRequest, people: list[Patient]
) -> list[tuple[Patient, list[tuple[Patient, str]]]]:
    """Each patient of a page with those of the clinic who are easily confused."""
    everybody = list(Patient.objects.of(request.clinic).names()) if people else []
    return [
        (patient, alike(named(patient), everybody, but=patient.pk))
        for patient in people
    ]


# who it is


@access("edit_patient", methods=("GET", "POST"))
def register(request: ClinicRequest) -> HttpResponse:
    """A new patient; somebody with a similar name is asked about first."""
    form = PatientForm(
        request.POST if request.method == "POST" else None,
        clinic=request.clinic,
        at=timezone.now(),
    )
    if request.method == "GET":
        return _person_form(request, form, None, 200)
    went = attempt(
        request, form, lambda by: doors.register_patient(by=by, **form.values)
    )
    if went.saved:
        return redirect("patient-detail", went.made_id)
    return _person_form(request, form, None, went.status)


@access("edit_patient", methods=("GET", "POST"))
def amend(request: ClinicRequest, pk: int) -> HttpResponse:
    """Change name, MRN, birth date and the like; the audit keeps before and after."""
    patient = patient_in_reach(request, pk)
    form = PatientForm(
        request.POST if request.method == "POST" else None,
        clinic=request.clinic,
        at=timezone.now(),
        patient=patient,
    )
    if request.method == "GET":
        view_of("patient.view", by=actor(request), subject=patient, patient=patient)
        return _person_form(request, form, patient, 200)

    def change(by: Actor) -> Patient:
        return doors.amend_patient(
            patient=patient, version=form.seen_version, by=by, **form.values
        )

    status = save(request, form, change)
    if status == SAVED:
        return redirect("patient-detail", pk)
    return _person_form(request, form, patient, status)


def _person_form(
    request: ClinicRequest, form: PatientForm, patient: Patient | None, status: int
) -> HttpResponse:
    context: dict[str, Any] = {"form": form, "patient": patient, "now": form.at}
    if patient is not None:
        person = person_of(patient, clinic=request.clinic, at=form.at)
        context |= {"person": person, "banner": person.banner}
        context["version"] = form.seen_version or patient.version
        if status == STALE:
            context["theirs"] = [
                (form.fields[name].label, getattr(patient, name))
                for name in form.fields
                if str(getattr(patient, name)) != form.data.get(name, "")
            ]
    part = "patients/_form.html" if request.htmx else "patients/form.html"
    return render(request, part, context, status=status)


@access("edit_patient", methods=("GET", "POST"))
def import_file(request: ClinicRequest) -> HttpResponse:
    """Import one FHIR bundle; the answer names what came and what was left out."""
    form = ImportForm(
        request.POST if request.method == "POST" else None,
        files=request.FILES or None,
        clinic=request.clinic,
        at=timezone.now(),
    )
    context: dict[str, Any] = {"form": form}
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                document = read_document(_content(form.cleaned_data["file"]))
                imported = import_bundle(document, by=actor(request))
            except BundleError as refused:
                form.add_error(
                    "file", _("Nothing was imported. {refused}").format(refused=refused)
                )
            else:
                status, context["imported"] = 200, imported
    return render(request, "patients/import.html", context, status=status)


def _content(file: Any) -> bytes:
    if file.size > MOST_BYTES:
        raise BundleError(_("The file is larger than 64 MiB."))
    return file.read()


# one patient


@access("view_patient")
def detail(request: ClinicRequest, pk: int) -> HttpResponse:
    """Everything known of one patient, each value with its date, author and history."""
    patient = patient_in_reach(request, pk)
    by = actor(request)
    view_of("patient.view", by=by, subject=patient, patient=patient)
    person = person_of(patient, clinic=request.clinic, at=by.at)
    return _page(request, person, status=200)


@access("edit_patient", methods=("POST",))
def record(request: ClinicRequest, pk: int, kind: str) -> HttpResponse:
    """Add one row of one kind; the answer is the patient as it is then."""
    patient = patient_in_reach(request, pk)
    person = person_of(patient, clinic=request.clinic, at=timezone.now())
    form = _form(kind, person, request.POST)
    status = save(request, form, lambda by: _do(kind, patient, form, by))
    if status != SAVED:
        if status == STALE and request.htmx:
            # Swapped in like an error: what is known now stands above what was typed.
            return _page(request, person, status=422, bound={kind: form}, fresh=True)
        return _page(
            request, person, status=status, bound={kind: form}, fresh=status == STALE
        )
    if not request.htmx:
        return redirect(f"{_address(pk)}#{kind}")
    fresh = person_of(
        patient_in_reach(request, pk), clinic=request.clinic, at=timezone.now()
    )
    return _page(request, fresh, status=200, said=KINDS[kind].said, at_kind=kind)


def _do(kind: str, patient: Patient, form: Any, by: Actor) -> Any:
    if kind == "risks":
        version = form.seen_version or 0
        return doors.record_risk_factors(
            patient=patient, answers=form.answers, by=by, version=version
        )
    return KINDS[kind].door(patient=patient, by=by, **form.values)


@access("edit_patient", methods=("GET", "POST"))
def correct(request: ClinicRequest, pk: int, kind: str, row_pk: int) -> HttpResponse:
    """Replace one row by a corrected one, with a reason; both stay readable."""
    patient = patient_in_reach(request, pk)
    row = _row(patient, kind, row_pk)
    if KINDS[kind].form is None:
        raise Http404
    person = person_of(patient, clinic=request.clinic, at=timezone.now())
    data = request.POST if request.method == "POST" else None
    form = _form(kind, person, data, corrects=row)
    status = 200
    if request.method == "POST":
        status = save(request, form, lambda by: _do(kind, patient, form, by))
        if status == SAVED:
            return redirect(f"{_address(pk)}#{kind}")
    return _row_page(request, person, kind, row, form, "correct", status)


@access("edit_patient", methods=("GET", "POST"))
def withdraw(request: ClinicRequest, pk: int, kind: str, row_pk: int) -> HttpResponse:
    """Mark one row as entered in error, with a reason; it stays readable."""
    patient = patient_in_reach(request, pk)
    row = _row(patient, kind, row_pk)
    person = person_of(patient, clinic=request.clinic, at=timezone.now())
    data = request.POST if request.method == "POST" else None
    form = WithdrawForm(data, clinic=request.clinic, at=person.at)
    status = 200
    if request.method == "POST":

        def take_back(by: Actor) -> Any:
            reason = form.cleaned_data["reason"]
            return doors.withdraw(row=row, reason=reason, by=by)

        status = save(request, form, take_back)
        if status == SAVED:
            return redirect(f"{_address(pk)}#{kind}")
    return _row_page(request, person, kind, row, form, "withdraw", status)


def _row(patient: Patient, kind: str, row_pk: int) -> Any:
    """One row of this patient; another patient's does not exist here."""
    rows = KINDS[kind].model.objects.filter(patient=patient)
    return get_object_or_404(rows.select_related("recorded_by", "patient"), pk=row_pk)


def _row_page(
    request: ClinicRequest,
    person: Person,
    kind: str,
    row: Any,
    form: ClinicForm,
    task: str,
    status: int,
) -> HttpResponse:
    patient = person.patient
    if request.method == "GET":
        view_of("patient.view", by=actor(request), subject=patient, patient=patient)
    context = {
        "person": person,
        "patient": patient,
        "banner": person.banner,
        "now": person.at,
        "kind": kind,
        "word": KINDS[kind].word,
        "row": row,
        "words": in_words(row),
        "action": request.path,
        "form": form,
        "task": task,
        "gone": row.entered_in_error or hasattr(row, "superseded_by"),
        "late_minutes": request.clinic.late_entry_minutes,
    }
    part = "patients/_row_form.html" if request.htmx else "patients/row_form.html"
    return render(request, part, context, status=status)


def _page(
    request: ClinicRequest,
    person: Person,
    *,
    status: int,
    bound: dict[str, Any] | None = None,
    said: str = "",
    at_kind: str = "",
    fresh: bool = True,
) -> HttpResponse:
    """The patient page, or the part of it that an act replaces.

    `fresh` is false while a form that only has errors keeps the version it was
    drawn from.
    """
    everybody = Patient.objects.of(request.clinic).names()
    may_edit = request.user.may("edit_patient")
    forms = {kind: _form(kind, person, None) for kind in KINDS} if may_edit else {}
    context = {
        "person": person,
        "patient": person.patient,
        "banner": person.banner,
        "now": person.at,
        "forms": forms | (bound or {}),
        "risks_version": person.statements_version
        if fresh or "risks" not in (bound or {})
        else bound["risks"].seen_version,
        "open": bound or {},
        "said": said,
        "said_at": at_kind,
        "late_minutes": request.clinic.late_entry_minutes,
        "similar": alike(named(person.patient), everybody, but=person.patient.pk),
        "may_edit": may_edit,
        "may_order": request.user.may("draft_order"),
        "order_url": reverse("order-new", args=[person.patient.pk]),
    }
    part = "patients/_detail.html" if request.htmx else "patients/detail.html"
    return render(request, part, context, status=status)


def _form(kind: str, person: Person, data: Any, *, corrects: Any = None) -> Any:
    """The form of one kind, with what it compares a new value to."""
    common = {
        "clinic": person.clinic,
        "at": person.at,
        "patient": person.patient,
        "auto_id": f"{kind}-%s",
    }
    if kind == "risks":
        asked = [s.factor for s in person.risk_factors if not s.computed]
        return RiskFactorsForm(data, factors=asked, known=person.known, **common)
    if kind == "weights":
        common |= {
            "weights": person.weights.current,
            "height": person.height,
            "most_change_percent": person.most_change_percent,
        }
    if kind == "heights":
        common["last"] = person.height
    return KINDS[kind].form(data, corrects=corrects, **common)


def _address(pk: int) -> str:
    return reverse("patient-detail", args=[pk])
