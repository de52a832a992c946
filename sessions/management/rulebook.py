"""The clinical rules in a clinician's words, written from what the product runs on.

One row for each rule: what it says, where the figure comes from, the code that works
it out and the test that holds it. Nothing here is typed by hand but the words around
the figures, so that a changed figure changes the text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sessions.catalogue.default_protocol import default_policy
from sessions.catalogue.follow_up import AfterEvent, follow_up_calls, late_events
from sessions.catalogue.gate import gate_catalogue
from sessions.catalogue.indications import indications
from sessions.catalogue.products import products
from sessions.catalogue.reactions import labels
from sessions.rules.bodies import (
    ADULT_GROWTH_CM,
    ADULT_HEIGHT_CM,
    KG_FOR_LB,
    LB_FOR_KG,
    USUAL_BMI,
    USUAL_WEIGHT_KG,
)
from sessions.rules.dosing_policy import DosingPolicy
from sessions.rules.findings import Action
from sessions.rules.labels import LabelRates, Product, Regimen
from sessions.rules.monitoring import Schedule
from sessions.rules.news2 import Bands, News2Chart
from sessions.rules.policy import MonitoringPolicy, Notice, TimingRule
from sessions.rules.quantities import plain
from sessions.rules.reactions import ReactionRule
from sessions.rules.sources import Setting, Source
from sessions.rules.thresholds import Act, Phase, Threshold
from sessions.rules.vitals import LIMITS, MEASURES, SOFT_CHANGES
from sessions.rules.words import for_whom, threshold_words

RULES = "tests/rules"
HEADER = """# Clinical rules

Every rule this product runs on, as shipped in protocol {code}-{version} and the
catalogue: what it says, where the figure comes from, the code that works it out and
the test that holds it. A clinic approves its own version of the protocol, and may
have changed a limit there; the page *Protocol* of the product shows the version in
force.

A figure marked **unverified** was read in no primary document; screens say so too. A
rule marked **off** is published, and stands here because a clinic may switch it on.
A flag recommends and cites; the clinician decides.

This page is written by `python manage.py clinical_rules > docs/clinical-rules.md`;
a test compares the two, so a changed rule changes this page in the same commit.

What each word calls for, mildest first: {actions}. Emergency and stop make a flag of
high priority, pause and reduce one of medium priority, observe one of low priority.
"""
ONES_OWN = Source(text="A choice of this product: it only asks", verified=False)


@dataclass(slots=True)
class Rulebook:
    """The page while it is written; sources are numbered as they come up."""

    lines: list[str] = field(default_factory=list)
    sources: dict[Source, int] = field(default_factory=dict)

    def section(self, title: str, words: str = "") -> None:
        """Begin a section with its table."""
        self.lines += ["", f"## {title}", ""]
        if words:
            self.lines += [words, ""]
        self.lines += [
            "| Rule | What it says | Source | Code | Test |",
            "|---|---|---|---|---|",
        ]

    def row(self, rule: str, says: str, source: Source, code: str, test: str) -> None:
        """Write one rule."""
        number = self.sources.setdefault(source, len(self.sources) + 1)
        mark = "" if source.verified else ", **unverified**"
        cells = (rule, says, f"[{number}]{mark}", f"`{code}`", f"`{test}`")
        self.lines.append(f"| {' | '.join(_cell(cell) for cell in cells)} |")

    def text(self) -> str:
        """The whole page, its sources last."""
        listed = [
            f"{number}. {source.label}" for source, number in self.sources.items()
        ]
        return "\n".join([*self.lines, "", "## Sources", "", *listed, ""])


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def clinical_rules() -> str:
    """Write the whole page from the shipped protocol and the catalogue."""
    policy = default_policy()
    book = Rulebook()
    book.lines.append(
        HEADER.format(
            code=policy.code,
            version=policy.version,
            actions=", ".join(action.value for action in Action),
        ).rstrip()
    )
    monitoring = policy.monitoring
    _acts(book, monitoring)
    _thresholds(book, monitoring)
    _news2(book, monitoring.news2)
    _reactions(book, monitoring)
    _course(book, monitoring)
    _schedule(book, monitoring.schedule)
    _discharge(book, monitoring.schedule)
    _gate(book, monitoring)
    _risks(book)
    _dosing(book, policy.dosing)
    _doses(book)
    _labels(book)
    _plausible(book)
    _afterwards(book)
    return book.text()


def _acts(book: Rulebook, monitoring: MonitoringPolicy) -> None:
    book.section(
        "What a rule can call for",
        "Each rule below names one of these codes; the action and the times follow "
        "from it.",
    )
    for act in monitoring.acts.values():
        words = f"{act.action.value.capitalize()}: {act.calls_for}."
        book.row(
            act.code,
            _sentence(words, _times(act.recheck_minutes, act.escalates_minutes),
                      _marks(act), act.note),
            act.source,
            "sessions/rules/recommendation.py",
            f"{RULES}/test_policy.py::test_each_code_means_the_action_of_the_rulings",
        )  # fmt: skip


def _marks(act: Act) -> str:
    marks = {
        "A restart may be proposed, always lower than before.": act.restarts,
        "The ladder begins again at its first step.": act.first_step,
        "At baseline it holds the Start.": act.holds_start,
        "It goes to the work list.": act.work_list,
    }
    return " ".join(words for words, true in marks.items() if true)


def _times(recheck: int | None, escalates: int | None) -> str:
    words = []
    if recheck is not None:
        words.append(f"Recheck in {recheck} minutes.")
    if escalates is not None:
        words.append(f"Unanswered, it escalates after {escalates} minutes.")
    return " ".join(words)


def _sentence(*parts: str) -> str:
    return " ".join(part.strip() for part in parts if part.strip())


def _thresholds(book: Rulebook, monitoring: MonitoringPolicy) -> None:
    book.section(
        "Limits on vital signs",
        "Change is measured from the baseline of the same visit. Of the rules of one "
        "series that hold, the strictest is reported. An absolute limit that the "
        "accepted baseline already crosses speaks again only in the next worse band.",
    )
    for rule in monitoring.thresholds:
        book.row(
            _named(rule.rule, rule.on),
            _threshold_says(rule),
            rule.source,
            "sessions/rules/thresholds.py",
            _threshold_test(rule),
        )


def _named(rule: str, on: bool) -> str:
    return rule if on else f"{rule} **off**"


PHASES = {
    Phase.BASELINE: "at baseline",
    Phase.INFUSING: "while infusing",
    Phase.OBSERVING: "while observing",
    Phase.AFTER: "afterwards",
}


def _threshold_says(rule: Threshold) -> str:
    limits = " and ".join(threshold_words(rule))
    phases = ", ".join(PHASES[phase] for phase in Phase if phase in rule.phases)
    grade = f"Grade {rule.severity.value}." if rule.severity else ""
    calls_for = rule.calls_for or rule.act.calls_for
    return _sentence(
        f"{limits}.",
        f"For {for_whom(rule)}; {phases}.",
        f"{rule.act.action.value.capitalize()} ({rule.act.code}): {calls_for}.",
        grade,
        rule.note,
    )


def _threshold_test(rule: Threshold) -> str:
    name = {
        "V-08": "test_fever_at_baseline_holds_the_start_with_a_low_finding",
        "V-39": "test_a_hypotensive_baseline_holds_the_start_in_pregnancy_too",
    }.get(rule.rule)
    if not rule.on:
        return f"{RULES}/test_thresholds.py::test_a_rule_that_is_off_never_speaks"
    if name is None and rule.rule == "V-23":
        name = "test_a_diastolic_rise_speaks_only_with_a_symptom_and_above_twenty"
    if name is None and rule.signs:
        name = "test_combinations_call_for_more_than_their_parts"
    if name is None:
        name = "test_a_set_of_vital_signs_calls_for_what_the_published_rows_say"
    return f"{RULES}/test_assessment.py::{name}"


def _news2(book: Rulebook, chart: News2Chart) -> None:
    module = "sessions/rules/news2.py"
    edges = f"{RULES}/test_news2.py::test_every_edge_of_every_band_scores_as_published"
    book.section(
        "NEWS2",
        "Scored as published or refused with the reason; what was not measured never "
        "counts as 0.",
    )
    bands = {
        **{MEASURES[name][0]: (b, MEASURES[name][1]) for name, b in
           chart.numbers.items()},
        "SpO2, scale 1": (chart.spo2_scale_1, "%"),
        "SpO2, scale 2 on air": (chart.spo2_scale_2_air, "%"),
        "SpO2, scale 2 on oxygen": (chart.spo2_scale_2_oxygen, "%"),
    }  # fmt: skip
    for name, (each, unit) in bands.items():
        book.row(name, _bands_say(each, unit), chart.source, module, edges)
    book.row(
        "Oxygen",
        f"{chart.on_oxygen} on any extra oxygen, 0 on air.",
        chart.source,
        module,
        f"{RULES}/test_news2.py::test_oxygen_scores_two",
    )
    letters = ", ".join(f"{key} {score}" for key, score in chart.consciousness.items())
    book.row(
        "Consciousness",
        f"ACVPU: {letters}.",
        chart.source,
        module,
        f"{RULES}/test_news2.py::test_not_alert_scores_three",
    )
    totals = ", ".join(f"{band} from {low}" for band, low in chart.total_bands.items())
    book.row(
        "Total",
        f"Clinical risk: {totals}; {chart.single_part_band} when any single part is "
        f"{chart.single_part} and the total is below medium.",
        chart.source,
        module,
        f"{RULES}/test_news2.py::test_totals_and_their_bands",
    )
    book.row(
        "Refused",
        f"Under {chart.age_from} years, in pregnancy, or with any part missing.",
        chart.source,
        module,
        f"{RULES}/test_news2.py::test_it_is_refused_with_the_reason",
    )


def _bands_say(bands: Bands, unit: str) -> str:
    cuts = [f"below {plain(below)} {unit}: {score}" for below, score in bands.cuts]
    return _sentence(", ".join([*cuts, f"from there: {bands.last}"]) + ".")


def _reactions(book: Rulebook, monitoring: MonitoringPolicy) -> None:
    book.section(
        "Reactions by severity",
        "No row at that severity: the next higher row, else the highest. Grades are "
        "CTCAE. Nothing is graded by default; what the last vital signs measure "
        "(fever, low blood pressure) is graded no milder than they are.",
    )
    names = labels() | {"any": "Any reaction", "other": "Any other reaction"}
    for rule in monitoring.reactions.rows:
        book.row(
            _named(rule.rule, rule.on),
            _reaction_says(rule, names.get(rule.reaction, rule.reaction)),
            rule.source,
            "sessions/rules/reactions.py",
            f"{RULES}/test_reactions.py::"
            + (
                "test_each_severity_of_each_reaction_calls_for_the_published_act"
                if rule.on
                else "test_alternative_policies_are_there_and_off"
            ),
        )


def _reaction_says(rule: ReactionRule, name: str) -> str:
    severities = " or ".join(severity.value for severity in rule.severities)
    act = rule.act
    return _sentence(
        f"{name}, {severities} (grade {rule.grade}: {rule.criteria}).",
        f"{act.action.value.capitalize()} ({act.code}): {rule.calls_for}.",
        f"Restart: {rule.restart_words}.",
        _times(rule.recheck_minutes, None),
        rule.note,
    )


def _course(book: Rulebook, monitoring: MonitoringPolicy) -> None:
    book.section("The course of a visit, and afterwards")
    assessed, module = f"{RULES}/test_assessment.py", "sessions/rules/assessment.py"
    course = monitoring.reactions
    book.row(
        "Recurrence",
        "A reaction that does not settle after the first action, or is back on "
        f"restart, is judged by rule {course.recurrence.rule}: "
        f"{course.recurrence.calls_for}.",
        course.recurrence.source,
        "sessions/rules/reactions.py",
        f"{assessed}::test_a_reaction_that_comes_back_calls_for_a_stop",
    )
    book.row(
        "Mild again",
        f"A mild reaction after {course.repeated_mild_from} earlier mild ones in the "
        f"visit is judged by rule {course.repeated_mild.rule}: "
        f"{course.repeated_mild.calls_for}.",
        course.repeated_mild.source,
        "sessions/rules/reactions.py",
        f"{assessed}::test_a_mild_reaction_again_and_again_calls_for_a_pause",
    )
    for notice, test in (
        (monitoring.missing, "test_a_missing_value_is_a_finding_and_never_normal"),
        (monitoring.new_lot, "test_a_new_lot_is_a_note_or_begins_the_ladder_again"),
    ):
        book.row(
            notice.rule,
            _notice_says(notice),
            notice.source,
            module,
            f"{assessed}::{test}",
        )
    for timing in monitoring.timing:
        hours = "test_late_reactions_go_to_the_work_list_by_their_hours"
        lungs = "test_trali_and_taco_have_their_hours"
        test = hours if timing.act.work_list else lungs
        book.row(
            timing.rule,
            _timing_says(timing),
            timing.source,
            module,
            f"{assessed}::{test}",
        )
    rules, schedule = monitoring.time_rules, monitoring.schedule
    for rule, act, words, setting in (
        (rules.overdue_rule, rules.overdue, "A set of vital signs is later than its "
         f"window ({_minutes(schedule.late_after_minutes)} after its time).",
         schedule.late_after_minutes),
        (rules.step_rule, rules.step, "A step has run "
         f"{_minutes(schedule.step_overdue_minutes)} past its time.",
         schedule.step_overdue_minutes),
    ):  # fmt: skip
        book.row(
            rule,
            f"{words} {act.action.value.capitalize()} ({act.code}): {act.calls_for}.",
            setting.source,
            "sessions/rules/monitoring.py",
            f"{RULES}/test_monitoring.py::test_the_clock_alone_finds_what_is_late",
        )


def _notice_says(notice: Notice) -> str:
    act = notice.act
    words = f"{act.action.value.capitalize()} ({act.code}): {act.calls_for}."
    return f"{notice.because}. {words}"


def _timing_says(timing: TimingRule) -> str:
    act = timing.act
    return _sentence(
        f"A reaction ({timing.reaction}) within {plain(timing.within_hours)} hours of "
        "the end.",
        f"{act.action.value.capitalize()} ({act.code}): {act.calls_for}.",
        timing.note,
    )


def _minutes(setting: Setting[Decimal]) -> str:
    return f"{plain(setting.value)} minutes"


SCHEDULE: dict[str, tuple[str, str]] = {
    "baseline_valid_minutes": (
        "The baseline is taken at most {} before the Start.",
        "test_screening.py::test_a_hard_stop_holds_the_start",
    ),
    "first_set_minutes": (
        "The first set is due {} after the Start.",
        "test_monitoring.py::test_the_next_set_while_infusing",
    ),
    "before_step_minutes": (
        "A set is taken at most {} before each step up.",
        "test_monitoring.py::"
        "test_a_set_within_the_window_counts_as_taken_before_the_step_up",
    ),
    "steady_minutes": (
        "A set every {} at a steady rate.",
        "test_monitoring.py::test_the_next_set_while_infusing",
    ),
    "paused_minutes": (
        "A set every {} while paused.",
        "test_monitoring.py::test_the_next_set_while_infusing",
    ),
    "due_before_minutes": (
        "A set up to {} before its time counts for it.",
        "test_monitoring.py::test_a_due_set_is_ahead_due_or_late",
    ),
    "late_after_minutes": (
        "A set is late from {} after its time.",
        "test_monitoring.py::test_a_due_set_is_ahead_due_or_late",
    ),
    "step_overdue_minutes": (
        "A step is overdue {} after its time.",
        "test_monitoring.py::test_the_clock_alone_finds_what_is_late",
    ),
    "observation_minutes": (
        "Observation after the end lasts {}.",
        "test_monitoring.py::test_first_switched_or_long_ago_is_observed_longer",
    ),
    "observation_first_minutes": (
        "It lasts {} after a first infusion, another brand or a long gap.",
        "test_monitoring.py::test_first_switched_or_long_ago_is_observed_longer",
    ),
}
DISCHARGE: dict[str, tuple[str, str, str]] = {
    "observation_minutes": (
        "D-01",
        "Observed for {} minutes after the end, longer where the schedule says so.",
        "test_each_discharge_criterion_holds_by_rule",
    ),
    "discharge_set_minutes": (
        "D-02",
        "A complete set from the last {} minutes of the observation or later, without "
        "a finding that calls for more than a recheck; a check that was not done is "
        "said so and does not count.",
        "test_a_check_that_was_not_done_is_said_so",
    ),
    "discharge_open_flags": (
        "D-03",
        "At most {} open flags of high or medium priority.",
        "test_each_discharge_criterion_holds_by_rule",
    ),
}


def _schedule(book: Rulebook, schedule: Schedule) -> None:
    book.section(
        "The vital signs schedule",
        "The earliest set that is owed is the next one; a recheck asked for by a flag "
        "comes before the plan when it is earlier.",
    )
    for name, (words, test) in SCHEDULE.items():
        setting: Setting[Decimal] = getattr(schedule, name)
        book.row(
            name.removesuffix("_minutes").replace("_", " "),
            _sentence(words.format(_minutes(setting)), setting.note),
            setting.source,
            "sessions/rules/monitoring.py",
            f"{RULES}/{test}",
        )


def _discharge(book: Rulebook, schedule: Schedule) -> None:
    book.section("Discharge", "The patient may go when every criterion is met.")
    for name, (rule, words, test) in DISCHARGE.items():
        setting: Setting[Decimal] = getattr(schedule, name)
        book.row(
            rule,
            _sentence(words.format(plain(setting.value)), setting.note),
            setting.source,
            "sessions/rules/monitoring.py",
            f"{RULES}/test_monitoring.py::{test}",
        )


def _gate(book: Rulebook, monitoring: MonitoringPolicy) -> None:
    module, tests = "sessions/rules/screening.py", f"{RULES}/test_screening.py"
    book.section(
        "The gate to Start",
        "A hard stop holds the Start until it is cleared or a prescriber signs over "
        "it; a warning wants a coded reason. An attested check is said at the chair, "
        "the others are worked out from the record. What nobody said is never taken "
        "for said.",
    )
    catalogue = gate_catalogue()
    for check in catalogue.checks:
        kind = "Hard stop" if check.hard else "Warning"
        how = "attested" if check.attested else "worked out"
        limit = f"Limit {plain(check.limit)}." if check.limit is not None else ""
        if check.attested:
            test = "test_what_nobody_said_is_not_taken_for_said"
        elif check.key == "iga":
            test = "test_iga_is_asked_for_before_the_first_dose_only"
        elif check.hard:
            test = "test_a_hard_stop_holds_the_start"
        else:
            test = "test_a_warning_lets_the_start_go_on"
        book.row(
            check.rule,
            _sentence(
                f"{kind}, {how}: {check.text}, because of {check.why}.",
                limit,
                f"Cleared by {check.clears}.",
                check.note,
            ),
            check.source,
            module,
            f"{tests}::{test}",
        )
    for question in catalogue.questions:
        kind = "a hard stop" if question.gate == "hard" else "a warning"
        book.row(
            question.rule,
            f"Asked on the day: {question.text} Yes is {kind}: {question.calls_for}. "
            f"Not answered holds the Start. Cleared by {question.clears}.",
            question.source,
            module,
            f"{tests}::test_a_question_that_was_not_asked_holds_the_start",
        )
    for rule in monitoring.lab_thresholds:
        book.row(
            _named(rule.rule, rule.on),
            _threshold_says(rule),
            rule.source,
            module,
            f"{tests}::test_a_hard_stop_holds_the_start",
        )


def _risks(book: Rulebook) -> None:
    book.section("Risk factors")
    for factor in gate_catalogue().risk_factors:
        gate = {
            "hard": "A hard stop before Start",
            "warning": "A warning before Start",
            "": "For information",
        }[factor.gate]
        meant = ", ".join(factor.products) or "every product"
        cap = "Puts the patient under the at-risk ceiling." if factor.caps_rate else ""
        test = (
            "tests/rules/test_screening.py::"
            "test_a_contraindication_speaks_about_its_own_product_only"
            if factor.products
            else "tests/rules/test_screening.py::test_a_hard_stop_holds_the_start"
            if factor.gate == "hard"
            else "tests/rules/test_screening.py::test_a_warning_lets_the_start_go_on"
            if factor.gate
            else "tests/catalogue/test_monitoring_facts.py::"
            "test_risk_factors_name_products_that_exist"
        )
        book.row(
            factor.key,
            _sentence(
                f"{factor.label}: {factor.changes}.", f"{gate}, for {meant}.", cap
            ),
            factor.source,
            "sessions/rules/screening.py",
            test,
        )


def _dosing(book: Rulebook, policy: DosingPolicy) -> None:
    book.section(
        "Dose, weight, ladder and ceiling",
        "Ideal weight is Devine's. The rate per kilogram is the one that counts; the "
        "pump's mL/h follows from it and is always rounded down.",
    )
    for name, module, words, test in DOSING:
        part, _, key = name.partition(".")
        setting: Setting[Any] | None = getattr(getattr(policy, part), key)
        if setting is None:
            continue
        value = setting.value
        shown = plain(value) if isinstance(value, Decimal) else value.replace("_", " ")
        book.row(
            f"{part.replace('_', ' ')}: {key.replace('_', ' ')}",
            _sentence(words.format(shown), setting.note),
            setting.source,
            f"sessions/rules/{module}.py",
            f"{RULES}/{test}",
        )


DOSING = (
    ("ladder.multiply_by", "ladders",
     "Where the label gives only a start and a maximum, each rate is {} times the one "
     "before, up to the ceiling.",
     "test_titration.py::test_our_ladders_are_those_of_a_published_hospital_protocol"),
    ("ladder.minutes", "ladders",
     "Where the label states no minutes, a step lasts at least {} minutes.",
     "test_titration.py::"
     "test_minutes_are_the_labels_where_it_states_them_else_the_clinics"),
    ("ceiling.at_risk_mg_per_kg_min", "ladders",
     "A patient at risk for whom the label prints no figure goes no faster than "
     "{} mg/kg/min; shown as policy, never as label.",
     "test_titration.py::"
     "test_the_clinics_cap_is_shown_as_policy_and_the_labels_as_label"),
    ("ceiling.clinic_ml_per_kg_h", "ladders",
     "The clinic goes no faster than {} mL/kg/h.",
     "test_titration.py::test_the_ladder_ends_at_what_binds"),
    ("ceiling.clinic_ml_per_h", "ladders",
     "The clinic goes no faster than {} mL/h.",
     "test_titration.py::test_a_cap_in_ml_per_h_is_reached_to_the_tenth"),
    ("rounding.dose_to", "dosing",
     "The dose is rounded to: {}.",
     "test_dosing.py::test_the_dose_is_rounded_to_vials"),
    ("rounding.dose_limit_percent", "dosing",
     "Rounding moves the dose by at most {} %; beyond that the exact dose is given "
     "and the waste is stated.",
     "test_dosing.py::test_rounding_stays_within_the_limit_or_gives_the_exact_dose"),
    ("rounding.pump_ml_per_h", "quantities",
     "The pump's rate is rounded down to {} mL/h.",
     "test_quantities.py::test_pump_rate_for_every_rate_and_every_weight"),
    ("dosing_weight.basis", "dosing",
     "The dose is worked out from the {} weight unless the order says otherwise.",
     "test_dosing.py::test_the_basis_decides_the_weight"),
    ("dosing_weight.excess_factor", "dosing",
     "Adjusted weight is ideal weight plus {} of the excess.",
     "test_dosing.py::test_adjusted_weight_adds_two_fifths_of_the_excess"),
    ("dosing_weight.obese_bmi", "dosing",
     "A BMI of {} or more counts as obese.",
     "test_dosing.py::test_a_bmi_of_exactly_the_limit_counts"),
    ("dosing_weight.obese_percent_of_ideal", "dosing",
     "More than {} % of ideal weight counts as obese.",
     "test_dosing.py::test_a_clinic_may_adjust_for_obesity"),
    ("dosing_weight.min_age_years", "dosing",
     "Under {} years only the actual weight is used.",
     "test_dosing.py::test_the_excluded_keep_their_actual_weight"),
    ("dosing_weight.min_height_cm", "dosing",
     "Under {} cm only the actual weight is used.",
     "test_dosing.py::test_the_excluded_keep_their_actual_weight"),
    ("weight.outer_limit_days", "titration",
     "A weight older than {} days cannot be ordered on.",
     "test_titration.py::test_a_plan_warns"),
    ("weight.change_percent", "screening",
     "A weight that changed by {} % or more sends the order back for verification.",
     "test_screening.py::test_a_hard_stop_holds_the_start"),
    ("weight.least_kg", "titration",
     "A weight under {} kg is refused.",
     "test_titration.py::test_an_impossible_weight_has_no_plan"),
    ("weight.most_kg", "titration",
     "A weight over {} kg is refused.",
     "test_titration.py::test_an_impossible_weight_has_no_plan"),
    ("dose_range.hard_times_highest", "dosing",
     "A dose above {} times the highest published dose of the indication is refused; "
     "outside the published range it asks for a reason.",
     "test_dosing.py::test_ten_times_a_published_dose_is_always_refused"),
    ("dose_range.unsourced_most_g_per_kg", "dosing",
     "Where no dose is published, more than {} g/kg is refused.",
     "test_dosing.py::test_the_ordered_dose_against_the_published_range"),
    ("restart.method", "running",
     "After a pause the infusion goes on by: {}; never at the rate before.",
     "test_titration.py::test_a_restart_is_never_the_old_rate"),
    ("restart.fraction", "running",
     "Half rate means {} of the rate before the pause, rounded down for the pump.",
     "test_recommendation.py::test_a_restart_is_rounded_down_for_the_pump"),
    ("restart.minutes", "running",
     "The restart rate is kept for at least {} minutes before the next step.",
     "test_titration.py::test_the_protocols_minutes_hold_after_a_restart"),
    ("restart.pause_minutes", "running",
     "A pause lasts {} minutes unless the patient settles later.",
     "test_titration.py::test_a_restart_is_lower_than_before"),
    ("intervals.long_gap_weeks", "titration",
     "More than {} weeks since the last infusion make the next a first infusion.",
     "test_titration.py::test_who_starts_as_a_first_infusion"),
)  # fmt: skip
"""Each choice on dose and rate: where it is used, in words, and its test."""


def _doses(book: Rulebook) -> None:
    book.section(
        "Published doses by indication",
        "Below or above the span of these regimens an order asks for a reason; an "
        "indication without a sourced dose is ordered as investigational only.",
    )
    for indication in indications().values():
        for regimen in indication.regimens:
            book.row(
                f"{indication.key}, {regimen.name}, {regimen.phase}",
                _regimen_says(indication.name, regimen),
                regimen.source,
                "sessions/rules/dosing.py",
                "tests/catalogue/test_catalogue.py::"
                "test_doses_are_those_of_the_reference",
            )


def _regimen_says(name: str, regimen: Regimen) -> str:
    when = "; ".join(
        f"{what} {words}"
        for what, words in (
            ("days", regimen.days_text),
            ("interval in weeks", regimen.interval_text),
        )
        if words
    )
    mark = "Investigational." if regimen.investigational else ""
    said = f"{name}, {regimen.phase}: {regimen.dose_text or 'no sourced dose'}"
    return _sentence(f"{said}{f' ({when})' if when else ''}.", mark, regimen.note)


def _labels(book: Rulebook) -> None:
    book.section(
        "Rates of the labels",
        "Looked up by the clinic's region: the exact indication, CVID as primary "
        "immunodeficiency, the region's or default row, else the lowest stated "
        "maximum, shown as not stated for this indication. mL/kg/h.",
    )
    for product in products().values():
        for rates in product.rates:
            book.row(
                f"{product.key}, {rates.indication_key}, {rates.region}, "
                f"{rates.patient_class}",
                _rates_say(product, rates),
                rates.source,
                "sessions/rules/labels.py",
                f"{RULES}/test_titration.py::"
                "test_every_label_row_is_in_the_plan_it_belongs_to",
            )
        for caution in product.contraindicated_with:
            kind = "Hard stop" if caution.hard else "Warning"
            book.row(
                f"{product.key}, {caution.risk}",
                f"{kind}: {caution.text}.",
                caution.source,
                "sessions/rules/titration.py",
                f"{RULES}/test_titration.py::"
                "test_a_contraindicated_product_is_stopped_for_that_patient_only",
            )
        if product.min_age is not None:
            limit = product.min_age
            book.row(
                f"{product.key}, age",
                f"Under {limit.years} years: {limit.text}.",
                limit.source,
                "sessions/rules/titration.py",
                f"{RULES}/test_titration.py::"
                "test_a_product_with_sorbitol_is_stopped_under_two_years",
            )


def _rates_say(product: Product, rates: LabelRates) -> str:
    steps = []
    for step in rates.steps:
        words = plain(step.ml_per_kg_h)
        if step.min_minutes is not None:
            words += f" for {plain(step.min_minutes)} min"
        steps.append(f"{words} (maximum)" if step.is_max else words)
    kind = "" if rates.is_label else "An order set, not the label."
    listed = " → ".join(steps) or "no figure"
    return _sentence(f"{product.brand}: {listed}.", kind, rates.note)


def _plausible(book: Rulebook) -> None:
    book.section(
        "Values that cannot be, and values that are asked about",
        "Impossible is refused, implausible is confirmed, abnormal is taken and "
        "flagged. These say what can be typed, not what is normal.",
    )
    module = "sessions/rules/vitals.py"
    test = (
        f"{RULES}/test_vitals.py::test_impossible_is_refused_and_implausible_is_asked"
    )
    for band, fields in LIMITS.items():
        for name, limits in fields.items():
            label, unit = MEASURES.get(name, (name.capitalize(), ""))
            hard = f"{plain(limits.hard_low)} to {plain(limits.hard_high)} {unit}"
            soft = f"{plain(limits.soft_low)} to {plain(limits.soft_high)} {unit}"
            book.row(
                f"{label}, {band}",
                f"Refused outside {hard.strip()}, asked about outside {soft.strip()}.",
                limits.source,
                module,
                test,
            )
    for name, most in SOFT_CHANGES.items():
        label, unit = MEASURES[name]
        book.row(
            f"{label}, change",
            f"A change of more than {plain(most)} {unit} from the last set is asked "
            "about.",
            ONES_OWN,
            module,
            f"{RULES}/test_vitals.py::test_a_large_jump_from_the_last_set_is_asked",
        )
    _bodies(book)


def _bodies(book: Rulebook) -> None:
    module = "sessions/rules/bodies.py"
    pounds = "tests/rules/test_bodies.py::test_a_weight_is_compared_with_the_last"
    low, high = (tuple(map(plain, pair)) for pair in (KG_FOR_LB, LB_FOR_KG))
    book.row(
        "Weight, pounds",
        f"A weight {high[0]} to {high[1]} or {low[0]} to {low[1]} times the last one "
        "is asked about: pounds or kilograms?",
        ONES_OWN,
        module,
        pounds,
    )
    before = 0
    for years, least, most in USUAL_WEIGHT_KG:
        who = f"from {before} to under {years} years" if years < 200 else f"{before}+"
        book.row(
            f"Weight, {who}",
            f"Asked about outside {plain(least)} to {plain(most)} kg.",
            ONES_OWN,
            module,
            "tests/rules/test_bodies.py::test_a_weight_unusual_for_the_age_is_asked_about",
        )
        before = years
    book.row(
        "BMI",
        f"An adult outside {plain(USUAL_BMI[0])} to {plain(USUAL_BMI[1])} is asked "
        "about.",
        ONES_OWN,
        module,
        "tests/rules/test_bodies.py::test_a_first_weight_in_pounds_shows_by_the_height",
    )
    book.row(
        "Height, adult",
        f"Asked about outside {plain(ADULT_HEIGHT_CM[0])} to "
        f"{plain(ADULT_HEIGHT_CM[1])} cm, or more than {plain(ADULT_GROWTH_CM)} cm "
        "from the last one.",
        ONES_OWN,
        module,
        "tests/rules/test_bodies.py::test_a_height_unusual_or_far_from_the_last_is_asked_about",
    )


def _afterwards(book: Rulebook) -> None:
    book.section("After the visit: windows and calls")
    tests = "tests/catalogue/test_monitoring_facts.py"
    groups: tuple[tuple[Callable[[], Sequence[AfterEvent]], str], ...] = (
        (late_events, "test_a_window_includes_its_ends"),
        (follow_up_calls, "test_the_first_call_is_due_from_24_to_72_hours"),
    )
    for events, test in groups:
        for event in events():
            book.row(
                f"after: {event.key}",
                _after_says(event),
                event.source,
                "sessions/catalogue/follow_up.py",
                f"{tests}::{test}",
            )


def _after_says(event: AfterEvent) -> str:
    return _sentence(
        f"{event.event}, {plain(event.from_hours)} to {plain(event.to_hours)} hours "
        f"after the end: {event.signs}.",
        event.question,
        f"Calls for {event.calls_for}.",
        event.note,
    )


def named_tests(text: str) -> Iterator[str]:
    """Every test the page names, as `tests/path.py::test_name`."""
    for line in rows(text):
        yield line.rsplit("|", 2)[1].strip().strip("`")


def rows(text: str) -> Iterable[str]:
    """The rules' own lines of the page."""
    return (
        line
        for line in text.splitlines()
        if line.startswith("| ") and not line.startswith("| Rule |")
    )
