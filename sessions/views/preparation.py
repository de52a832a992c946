"""The page of Start: everything before an infusion, each item a form of its own."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _lazy
from django_htmx.http import HttpResponseClientRedirect

from sessions.access import ClinicRequest, access, actor, session_in_reach
from sessions.catalogue.gate import risk_factors
from sessions.forms.base import ClinicForm
from sessions.forms.infusions import (
    ChecksForm,
    IdentityForm,
    LineForm,
    OverrideForm,
    StartForm,
    TapForm,
    WarningsForm,
)
from sessions.forms.medicines import GiveForm, GivenEarlierForm, WithdrawForm
from sessions.forms.patients import WeightForm
from sessions.forms.vials import VialForm
from sessions.forms.vitals import VitalsForm, earliest_of
from sessions.models import (
    Flag,
    HardStopReason,
    InfusionSession,
    Stage,
    VitalSigns,
    VitalsPurpose,
    WarningReason,
)
from sessions.persons import policy_of
from sessions.rules.language import day_of_year, say
from sessions.services import infusions, patients, preparation
from sessions.services.acts import Actor, Refused, view_of
from sessions.services.gate import asks_pregnancy
from sessions.services.medicines import Offer
from sessions.services.notes import standing_note
from sessions.services.preparation import AS_USUAL, Preparation
from sessions.services.vials import pack_of, recent_lots
from sessions.services.vitals import record_vitals
from sessions.views.preparation_words import answer_words, change_words, history_words
from sessions.views.saving import SAVED, save
from sessions.views.visits import banner_of, conflict, risk_words

SECTIONS = (
    ("order", _lazy("Order")),
    ("identity", _lazy("Identity")),
    ("weight", _lazy("Weight")),
    ("checks", _lazy("Checks")),
    ("line", _lazy("Line")),
    ("premedication", _lazy("Premedication")),
    ("vials", _lazy("Vials")),
    ("baseline", _lazy("Baseline")),
    ("pump", _lazy("Pump")),
)
"""The list in the order of the work; "order" shows only when something is wrong."""

SCALE_SHOWS = r"\d{2,3}\.\d|\d\.\d\d"
"""A weight as scales show it, whole: from 10 kg on with one decimal, below with two."""
ALSO_CHANGES = {"weight": ("pump", "order"), "start": ("pump",)}
"""Sections that an act on another one redraws; typing elsewhere is left alone."""


@access("view_patient")
def show(request: ClinicRequest, pk: int) -> HttpResponse:
    """The page of Start, or the page that a visit of another stage has."""
    session = session_in_reach(request, pk)
    if session.stage == Stage.PLANNED and request.user.may("chart"):
        return redirect("infusion-check-in", pk)
    if session.stage not in (Stage.PLANNED, *infusions.BEFORE_START):
        return redirect("infusion-detail", pk)
    view_of("session.view", by=actor(request), subject=session, patient=session.patient)
    return _page(request, session, {})


@access("chart", methods=("POST",))
def identity(request: ClinicRequest, pk: int) -> HttpResponse:
    """Initials and birth year, typed from the wristband (A2)."""
    session = session_in_reach(request, pk)
    form = IdentityForm(request.POST, **_options(request, "identity"))
    return _act(
        request,
        session,
        "identity",
        form,
        lambda by: infusions.check_identity(
            session=session,
            initials=form.initials,
            birth_year=form.birth_year,
            by=by,
        ),
    )


@access("chart", methods=("POST",))
def weigh(request: ClinicRequest, pk: int) -> HttpResponse:
    """A weight measured now; the patient's row, with which the visit goes on."""
    session = session_in_reach(request, pk)
    form = _weight_form(request, session, request.POST)

    def do(by: Actor) -> None:
        patients.record_weight(patient=session.patient, by=by, **form.values)

    return _act(request, session, "weight", form, do, after=_assess)


def _assess(request: ClinicRequest, session: InfusionSession) -> None:
    """Move the visit on; if that is refused now, the next act on it does so."""
    session = session_in_reach(request, session.pk)
    with suppress(Refused):  # the weight is saved: that must not read as a fault
        infusions.note_assessed(session=session, by=actor(request))


@access("chart", methods=("POST",))
def confirm_weight(request: ClinicRequest, pk: int) -> HttpResponse:
    """The last weight on record holds today, said in one tap (H2)."""
    session = session_in_reach(request, pk)
    form = TapForm(request.POST, **_options(request, "keep"))
    status = save(
        request, form, lambda by: infusions.confirm_weight(session=session, by=by)
    )
    bound = {"keep": form} if status != SAVED else {}
    return answer(request, session, "weight", form, status, bound=bound)


@access("chart", methods=("POST",))
def checks(request: ClinicRequest, pk: int) -> HttpResponse:
    """What the patient answered and the nurse saw; a second time corrects it."""
    session = session_in_reach(request, pk)
    form = _checks_form(request, session, request.POST)
    return _act(
        request,
        session,
        "checks",
        form,
        lambda by: infusions.attest_checks(
            session=session,
            answers=form.answers,
            detail=form.cleaned_data["detail"],
            by=by,
        ),
    )


@access("chart", methods=("POST",))
def line(request: ClinicRequest, pk: int) -> HttpResponse:
    """The intravenous line, or its site looked at again."""
    session = session_in_reach(request, pk)
    form = LineForm(request.POST, **_options(request, "line"))
    return _act(
        request,
        session,
        "line",
        form,
        lambda by: infusions.record_line(
            session=session,
            by=by,
            **{
                name: form.cleaned_data[name]
                for name in ("site", "gauge", "attempts", "vip_score")
            },
        ),
    )


@access("chart", methods=("POST",))
def baseline(request: ClinicRequest, pk: int) -> HttpResponse:
    """The set that every later one is compared with."""
    session = session_in_reach(request, pk)
    prepared = preparation.prepare(session, at=timezone.now())
    form = _baseline_form(request, prepared, request.POST)
    return _act(
        request,
        session,
        "baseline",
        form,
        lambda by: record_vitals(
            session=session,
            by=by,
            purpose=VitalsPurpose.BASELINE,
            **form.values,
        ),
    )


@access("chart", methods=("POST",))
def pass_warnings(request: ClinicRequest, pk: int) -> HttpResponse:
    """Go on in spite of the ticked warnings, for one coded reason (C3)."""
    session = session_in_reach(request, pk)
    prepared = preparation.prepare(session, at=timezone.now())
    form = _warnings_form(request, prepared, request.POST)
    return _act(
        request,
        session,
        "warnings",
        form,
        lambda by: infusions.pass_warnings(
            session=session,
            rules=form.cleaned_data["rules"],
            reason_code=form.cleaned_data["reason_code"],
            reason_text=form.cleaned_data["reason_text"],
            by=by,
        ),
    )


@access("override_hard_stop", methods=("POST",))
def override(request: ClinicRequest, pk: int) -> HttpResponse:
    """A prescriber overrides one hard stop, with the password (C3)."""
    session = session_in_reach(request, pk)
    form = OverrideForm(request.POST, **_options(request, "override"))
    return _act(
        request,
        session,
        "override",
        form,
        lambda by: infusions.override_gate(
            session=session,
            by=by,
            **{
                name: form.cleaned_data[name]
                for name in ("rule", "reason_code", "reason_text", "password")
            },
        ),
    )


@access("chart", methods=("POST",))
def start(request: ClinicRequest, pk: int) -> HttpResponse:
    """Begin the infusion: the pump's rate and limit are read back (D1)."""
    session = session_in_reach(request, pk)
    form = StartForm(request.POST, **_options(request, "start"))
    status = save(
        request,
        form,
        lambda by: infusions.start(
            session=session,
            read_back_ml_per_h=form.cleaned_data["read_back"],
            volume_limit_ml=form.cleaned_data["volume_limit"],
            by=by,
            seen_version=form.seen_version,
        ),
    )
    if status != SAVED:
        return answer(request, session, "start", form, status)
    if request.htmx:
        return HttpResponseClientRedirect(reverse("infusion-detail", args=[pk]))
    return redirect("infusion-detail", pk)


# Answering


def _act(
    request: ClinicRequest,
    session: InfusionSession,
    item: str,
    form: ClinicForm,
    do: Callable[[Actor], object],
    *,
    after: Callable[[ClinicRequest, InfusionSession], None] | None = None,
) -> HttpResponse:
    status = save(request, form, do)
    if status == SAVED and after is not None:
        after(request, session)
    return answer(request, session, item, form, status)


def answer(
    request: ClinicRequest,
    session: InfusionSession,
    item: str,
    form: ClinicForm,
    status: int,
    *,
    bound: dict[str, ClinicForm] | None = None,
) -> HttpResponse:
    """Show the item anew, with what it changes; the whole page without script.

    `bound` names where on the page a form that was refused stands, if not at the item.
    """
    if item == "vials" and session.stage not in infusions.BEFORE_START:
        return _vials_answer(request, session, form, status, bound)
    if status == SAVED and not request.htmx:
        target = item if item in dict(SECTIONS) else "start"
        page = reverse("infusion-prepare", args=[session.pk])
        return redirect(f"{page}#pre-{target}")
    if status == 409 and request.htmx:
        return conflict(request, form)
    session = session_in_reach(request, session.pk)
    if bound is None:
        bound = {item: form} if status != SAVED else {}
    if not request.htmx:
        return _page(request, session, bound, status=status)
    context = _context(request, session, bound)
    wanted = {item, *ALSO_CHANGES.get(item, ())}
    context["redrawn"] = [each for each in context["sections"] if each["key"] in wanted]
    context["acted"] = item
    return render(
        request,
        "infusions/_pre_answer.html",
        context,
        status=200 if status == SAVED else status,
    )


def vials_page(
    request: ClinicRequest,
    session: InfusionSession,
    bound: dict[str, ClinicForm] | None = None,
    *,
    status: int = 200,
) -> HttpResponse:
    """The vials of a visit that was started: one broken, one more of another lot."""
    context = _context(request, session, bound or {})
    context["section"] = next(s for s in context["sections"] if s["key"] == "vials")
    template = "_pre.html" if request.htmx else "vials.html"
    return render(request, f"infusions/{template}", context, status=status)


def _vials_answer(
    request: ClinicRequest,
    session: InfusionSession,
    form: ClinicForm,
    status: int,
    bound: dict[str, ClinicForm] | None,
) -> HttpResponse:
    flags = Flag.objects.filter(session=session).current().open()
    if status == SAVED and flags.exists():
        page = reverse("infusion-detail", args=[session.pk])  # a new lot raised it
        return HttpResponseClientRedirect(page) if request.htmx else redirect(page)
    if status == SAVED and not request.htmx:
        return redirect("vial-add", session.pk)
    if status == 409 and request.htmx:
        return conflict(request, form)
    if bound is None:
        bound = {"vials": form} if status != SAVED else {}
    session = session_in_reach(request, session.pk)
    return vials_page(
        request, session, bound, status=200 if status == SAVED else status
    )


def _page(
    request: ClinicRequest,
    session: InfusionSession,
    bound: dict[str, ClinicForm],
    *,
    status: int = 200,
) -> HttpResponse:
    context = _context(request, session, bound)
    context["note"] = standing_note(session)
    return render(request, "infusions/prepare.html", context, status=status)


def _context(
    request: ClinicRequest,
    session: InfusionSession,
    bound: dict[str, ClinicForm],
) -> dict[str, Any]:
    """Everything the page of Start shows, and its partials."""
    at = timezone.now()
    prepared = preparation.prepare(session, at=at)
    may_chart = request.user.may("chart")
    forms = _forms(request, prepared) if may_chart else {}
    if request.user.may("override_hard_stop"):
        forms["overrides"] = _override_forms(request, prepared, bound.get("override"))
    forms |= {name: form for name, form in bound.items() if name != "override"}
    labels = {key: say(factor.label) for key, factor in risk_factors().items()}
    return {
        "pre": prepared,
        "session": session,
        "forms": forms,
        "sections": [
            {
                "key": key,
                "title": title,
                "holds": prepared.held(key),
                "done": _is_done(prepared, key),
                "template": f"infusions/_pre_{key}.html",
            }
            for key, title in SECTIONS
            if key != "order" or prepared.held("order")
        ],
        "checked": answer_words(session, prepared.screening),
        "history": history_words(prepared, labels),
        "changes": change_words(prepared),
        "lots": _lots(request, prepared) if may_chart and prepared.missing_g else [],
        "vial_rows": _vial_rows(request, prepared, bound.get("taking_back")),
        "taking_back": bound.get("taking_back"),
        "show_scan": bool(prepared.missing_g)
        or "vials" in bound
        or session.stage == Stage.INFUSING,
        "premedications": offer_rows(
            request, prepared.before, bound.get("premedication")
        ),
        "last_day": _last_day(prepared),
        "reasons": dict(WarningReason.choices) | dict(HardStopReason.choices),
        "may_chart": may_chart,
        "may_override": request.user.may("override_hard_stop"),
        "banner": banner_of(
            session, allergies=prepared.allergies, weight=prepared.weight
        )
        | {"risks": risk_words(prepared.risk_factors.values(), labels)},
        "now": at,
    }


def _is_done(prepared: Preparation, key: str) -> bool:
    """Nothing of this item holds the Start, and there is something to show for it."""
    shown = {
        "identity": prepared.identity,
        "weight": prepared.weight,
        "checks": prepared.screening,
        "line": prepared.line,
        "vials": prepared.vials,
        "baseline": prepared.baseline,
    }
    if key == "pump" or prepared.held(key):
        return False
    return bool(shown.get(key, True))


def _options(request: ClinicRequest, name: str) -> dict[str, Any]:
    return {
        "clinic": request.clinic,
        "at": timezone.now(),
        "auto_id": f"{name}_%s",
    }


def _forms(request: ClinicRequest, prepared: Preparation) -> dict[str, Any]:
    """Fresh forms for every item that can be done now."""
    session = prepared.session
    return {
        "identity": IdentityForm(**_options(request, "identity")),
        "weight": _weight_form(request, session, None, prepared),
        "keep": TapForm(**_options(request, "keep")),
        "checks": _checks_form(request, session, None),
        "line": LineForm(**_options(request, "line")),
        "vials": vial_form(request, None),
        "baseline": _baseline_form(request, prepared, None),
        "warnings": _warnings_form(request, prepared, None),
        "start": StartForm(**_options(request, "start")),
    }


def _weight_form(
    request: ClinicRequest,
    session: InfusionSession,
    data,
    prepared: Preparation | None = None,
) -> WeightForm:
    patient = session.patient
    weights = (
        prepared.weights
        if prepared
        else patient.weights.current().order_by("-event_time", "-id")[:6]
    )
    in_force = prepared.protocol if prepared else None
    policy = in_force.policy if in_force else policy_of(request.clinic)
    form = WeightForm(
        data,
        patient=patient,
        weights=list(weights),
        height=patient.heights.current().first(),
        most_change_percent=policy.dosing.weight.change_percent.value,
        **_options(request, "weight"),
    )
    form.fields["weight_kg"].widget.attrs |= {
        "data-enter": "submit",
        "data-whole": SCALE_SHOWS,
    }
    return form


def _checks_form(request: ClinicRequest, session: InfusionSession, data) -> ChecksForm:
    return ChecksForm(
        data,
        usual=AS_USUAL,
        leave_out=() if asks_pregnancy(session) else ("pregnant",),
        **_options(request, "checks"),
    )


def vial_form(request: ClinicRequest, data) -> VialForm:
    """The form of one vial, which knows the packs this clinic has recorded."""
    clinic = request.clinic
    return VialForm(
        data,
        pack_of=lambda gtin: pack_of(clinic, gtin),
        **_options(request, "vial"),
    )


def _lots(request: ClinicRequest, prepared: Preparation) -> list[dict[str, Any]]:
    """Lots opened lately, each with a form of its own: one tap is one vial."""
    product, wanted = prepared.version.product_key, prepared.vials_to_come_g
    return [
        {"lot": lot, "form": TapForm(**_options(request, "lot"))}
        for lot in recent_lots(request.clinic, product, at=prepared.at)
        if lot.grams in wanted
    ]


def _vial_rows(
    request: ClinicRequest, prepared: Preparation, bound: ClinicForm | None
) -> list[dict[str, Any]]:
    rows = []
    for vial in prepared.vials:
        name = f"back{vial.pk}"
        form: ClinicForm = WithdrawForm(**_options(request, name))
        if bound is not None and bound.auto_id == f"{name}_%s":
            form = bound
        rows.append({"vial": vial, "form": form})
    return rows


def offer_rows(
    request: ClinicRequest, offers: Iterable[Offer], bound: ClinicForm | None
) -> list[dict[str, Any]]:
    """Ordered medicines, each with fresh forms, and what its last press was told.

    A time that was typed and refused stays in its form.
    """
    rows = []
    for offer in offers:
        now, earlier = f"give{offer.ordered.pk}", f"earlier{offer.ordered.pk}"
        row: dict[str, Any] = {
            "offer": offer,
            "form": GiveForm(**_options(request, now)),
            "earlier": GivenEarlierForm(**_options(request, earlier)),
        }
        if bound is not None and bound.auto_id == f"{now}_%s":
            row["fault"] = " ".join(str(error) for error in bound.non_field_errors())
        elif bound is not None and bound.auto_id == f"{earlier}_%s":
            row["earlier"] = bound
        rows.append(row)
    return rows


def _baseline_form(request: ClinicRequest, prepared: Preparation, data) -> VitalsForm:
    """The baseline beside the last set of the last visit, or of this one."""
    session = prepared.session
    day = request.clinic.day_of(prepared.at)
    return VitalsForm(
        data,
        age_years=session.patient.age_on(day),
        last=_last_set(prepared),
        earliest=earliest_of(session.scheduled_at),
        **_options(request, "vitals"),
    )


def _last_set(prepared: Preparation) -> VitalSigns | None:
    if prepared.chart.last_vitals is not None:
        return prepared.chart.last_vitals
    return prepared.last_chart.last_vitals if prepared.last_chart else None


def _last_day(prepared: Preparation) -> str:
    """The day of the set shown under the boxes, `30 Oct`; empty on the same day."""
    row = _last_set(prepared)
    if row is None or row.session_id == prepared.session.pk:
        return ""
    return day_of_year(row.event_time.astimezone(prepared.session.clinic.zone))


def _warnings_form(request: ClinicRequest, prepared: Preparation, data) -> WarningsForm:
    return WarningsForm(
        data,
        warnings=[(hold.rule, hold.text) for hold in prepared.warnings],
        **_options(request, "warnings"),
    )


def _override_forms(
    request: ClinicRequest, prepared: Preparation, bound: ClinicForm | None
) -> list[tuple[Any, ClinicForm]]:
    """One form for each hard stop a prescriber may override; the posted one filled."""
    pairs = []
    for number, hold in enumerate(prepared.hard):
        form: ClinicForm = OverrideForm(
            initial={"rule": hold.rule}, **_options(request, f"override{number}")
        )
        if bound is not None and bound.data.get("rule") == hold.rule:
            form = bound
        pairs.append((hold, form))
    return pairs
