"""What is known and found before a Start, in a nurse's words."""

from django.utils.translation import gettext as _

from sessions.catalogue.labs import lab_tests, unit_words
from sessions.forms.infusions import QUESTIONS
from sessions.models import Answer, InfusionSession, Presence, Screening
from sessions.rules.language import day_words, say
from sessions.rules.quantities import plain
from sessions.services.gate import asks_pregnancy
from sessions.services.preparation import AS_USUAL, Preparation


def answer_words(
    session: InfusionSession, said: Screening | None
) -> list[tuple[str, bool]]:
    """The day's answers in a nurse's words; True marks what is unusual or not asked."""
    if said is None:
        return []
    words = []
    for name, usual in AS_USUAL.items():
        if name == "pregnant" and not asks_pregnancy(session):
            continue
        given, (_asked, as_usual, otherwise) = getattr(said, name), QUESTIONS[name]
        if given == Answer.NOT_ASKED:
            words.append(
                (_("{otherwise}: not asked").format(otherwise=otherwise), True)
            )
        else:
            words.append((as_usual, False) if given == usual else (otherwise, True))
    return words


def history_words(
    prepared: Preparation, labels: dict[str, str]
) -> list[tuple[str, bool]]:
    """What the record knows, with dates; unknown is written as unknown (H27)."""
    return [
        _consent_words(prepared),
        *(_lab_words(prepared, test) for test in ("creatinine", "haemoglobin", "iga")),
        *_risk_lines(prepared, labels),
        _last_words(prepared),
    ]


def _consent_words(prepared: Preparation) -> tuple[str, bool]:
    consent = prepared.consent
    if not prepared.session.clinic.consent_required:
        return _("consent: taken elsewhere (clinic setting)"), False
    if consent is None:
        return _("consent: not on file"), True
    if not consent.given:
        return _("consent: refused {day}").format(
            day=_day(prepared, consent.event_time)
        ), True
    until = day_words(consent.expires_on)
    day = prepared.session.clinic.day_of(prepared.at)
    if consent.expires_on < day:
        return _("consent: expired {until}").format(until=until), True
    return _("consent to {until}").format(until=until), False


def _lab_words(prepared: Preparation, test: str) -> tuple[str, bool]:
    known = lab_tests().get(test)
    name = say(known.name) if known else test
    rows = prepared.labs.get(test)
    if not rows:
        return _("{name}: not known, not tested").format(name=name), True
    row = rows[0]
    value = row.value_text or f"{plain(row.value)} {unit_words(row.unit)}"
    return f"{name} {value}, {_day(prepared, row.event_time)}", False


def _risk_lines(
    prepared: Preparation, labels: dict[str, str]
) -> list[tuple[str, bool]]:
    rows = prepared.risk_factors
    present = [
        (f"{labels.get(key, key)}, {_day(prepared, row.event_time)}", True)
        for key, row in rows.items()
        if row.presence == Presence.PRESENT
    ]
    unknown = sum(
        key not in rows or rows[key].presence == Presence.UNKNOWN for key in labels
    )
    asked = len(labels) - unknown
    if unknown:
        return [
            *present,
            (
                _("risk factors: {unknown} of {labels} not asked").format(
                    unknown=unknown, labels=len(labels)
                ),
                True,
            ),
        ]
    return present or [
        (_("risk factors: {asked} asked, none present").format(asked=asked), False)
    ]


def _last_words(prepared: Preparation) -> tuple[str, bool]:
    last, chart = prepared.last_start, prepared.last_chart
    if last is None or chart is None:
        return _("no earlier infusion on record"), True
    what = _("last infusion {day}, {product_name}").format(
        day=_day(prepared, last.event_time),
        product_name=last.order_version.product_name,
    )
    if not chart.reactions:
        return _("{what}, no reaction recorded").format(what=what), False
    seen = chart.reactions[-1]
    return _("{what}: {words} at {rate_ml_per_h} mL/h").format(
        what=what, words=seen.words, rate_ml_per_h=plain(seen.reaction.rate_ml_per_h)
    ), True


def change_words(prepared: Preparation) -> list[str]:
    """What makes today's plan another than the signed one, or than last time's."""
    made = prepared.today
    if made is None:
        return []
    words = []
    if made.rule.experience == "first":
        because = made.rule.because
        words.append(
            _(
                "{because} (A10): lowest start, full vitals, "
                "{observation_minutes} min observation."
            ).format(
                because=f"{because[:1].upper()}{because[1:]}",
                observation_minutes=made.observation_minutes,
            )
        )
    change = prepared.weight_change
    if change is not None and change.percent:
        words.append(
            _(
                "Weight {ordered_kg} kg at the order, {now_kg} kg now "
                "({percent} %): {given_g} g stay as signed, the rates are "
                "for {kg} kg."
            ).format(
                ordered_kg=plain(change.ordered_kg),
                now_kg=plain(change.now_kg),
                percent=plain(change.percent, 1),
                given_g=plain(prepared.version.given_g),
                kg=plain(made.plan.weight.kg, 1),
            )
        )
    top = made.plan.ceiling
    if top.binds != "label":
        words.append(
            _("Highest rate {ml_per_kg_h} mL/kg/h: {words}.").format(
                ml_per_kg_h=plain(top.ml_per_kg_h), words=top.limit.text
            )
        )
    if "iga" not in prepared.labs:
        words.append(_("IgA: untested, adrenaline at the chair."))
    return words


def _day(prepared: Preparation, moment) -> str:
    return day_words(moment.astimezone(prepared.session.clinic.zone))
