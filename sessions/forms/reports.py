"""What a report can be asked: a closed list of questions, in the address.

Nothing from the address reaches a query by itself: each value is one of the choices
given here, and anything else, a parameter sent twice and an unknown one are refused.
"""

from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from sessions.forms.fields import DayField
from sessions.models import Clinic, FlagAction, Grade

PERIODS = {
    "12": _lazy("Last 12 full months"),
    "3": _lazy("Last 3 full months"),
    "1": _lazy("Last full month"),
    "now": _lazy("This month so far"),
    "year": _lazy("This year so far"),
    "24": _lazy("Last 24 full months"),
    "days": _lazy("Days from … to …"),
}
LONGEST = timedelta(days=3700)


class ReportForm(forms.Form):
    """Period, product and indication; each report adds its own groups and filters."""

    by = forms.ChoiceField(label=_lazy("Grouped by"))
    period = forms.ChoiceField(label=_lazy("Period"), choices=list(PERIODS.items()))
    first = DayField(label=_lazy("From"), required=False)
    last = DayField(label=_lazy("To"), required=False)
    product = forms.ChoiceField(label=_lazy("Product"), required=False)
    indication = forms.ChoiceField(label=_lazy("Indication"), required=False)

    def __init__(
        self,
        data,
        *,
        clinic: Clinic,
        at: datetime,
        groupings: dict[str, str],
        products: list[tuple[str, str]],
        indications: list[tuple[str, str]],
    ) -> None:
        self.asked = data
        self.clinic, self.at = clinic, at
        super().__init__(None, auto_id="ask_%s")
        self.fields["by"].choices = list(groupings.items())
        self.fields["product"].choices = [("", _("All products")), *products]
        self.fields["indication"].choices = [("", _("All indications")), *indications]
        self.data, self.is_bound = self._complete(), True

    def _complete(self) -> dict[str, str]:
        """What was asked, with the first choice where nothing was said."""
        data = {
            name: field.choices[0][0]
            for name, field in self.fields.items()
            if isinstance(field, forms.ChoiceField)
        }
        return data | {name: self.asked.get(name) for name in self.asked}

    def clean(self) -> dict[str, Any]:
        for name in self.asked:
            if name not in self.fields:
                self.add_error(
                    None, _("Unknown question: {name!a}.").format(name=name[:40])
                )
            elif len(self.asked.getlist(name)) > 1:
                self.add_error(name, _("Asked twice."))
        if self.cleaned_data.get("period") == "days":
            self._check_days()
        return self.cleaned_data

    def _check_days(self) -> None:
        first, last = self.cleaned_data.get("first"), self.cleaned_data.get("last")
        if first is None and "first" not in self.errors:
            self.add_error("first", _("Choose the first day."))
        if last is None and "last" not in self.errors:
            self.add_error("last", _("Choose the last day."))
        if first and last and last < first:
            self.add_error("last", _("The last day lies before the first."))
        elif first and last and last - first > LONGEST:
            self.add_error("last", _("At most ten years at once."))

    @property
    def today(self) -> date:
        return self.clinic.day_of(self.at)

    @property
    def days(self) -> tuple[date, date]:
        """First and last day of the period, both counted, in the clinic's zone."""
        period, today = self.cleaned_data["period"], self.today
        month = today.replace(day=1)
        if period == "days":
            return self.cleaned_data["first"], self.cleaned_data["last"]
        if period == "now":
            return month, today
        if period == "year":
            return today.replace(month=1, day=1), today
        return months_before(month, int(period)), month - timedelta(days=1)

    @property
    def scope(self) -> dict[str, Any]:
        """The answers as a scope of `sessions.reports` takes them."""
        first, last = self.days
        named = ("by", "product", "indication", *self.own_fields)
        answers = {name: self.cleaned_data[name] for name in named}
        return {
            "clinic": self.clinic,
            "at": self.at,
            "first": first,
            "last": last,
            "chosen": self.chosen,
            **answers,
        }

    @property
    def own_fields(self) -> tuple[str, ...]:
        """Names of the questions that only this report asks."""
        return tuple(name for name in self.fields if name not in ReportForm.base_fields)

    @property
    def chosen(self) -> tuple[tuple[str, str], ...]:
        """The filters in words, without those that leave everything in."""
        found = []
        for name, field in self.fields.items():
            value = self.cleaned_data.get(name)
            if name in ("first", "last", "period") or value in ("", None):
                continue
            found.append((str(field.label), dict(field.choices)[value]))
        return tuple(found)

    @property
    def query(self) -> str:
        """The question as it stands in an address."""
        asked = {name: self.data.get(name) for name in self.fields}
        if asked.get("period") != "days":
            asked["first"] = asked["last"] = None
        return urlencode({name: value for name, value in asked.items() if value})


class ReactionForm(ReportForm):
    grade = forms.ChoiceField(
        label=_lazy("Grade"),
        choices=[
            (Grade.MILD, _lazy("Mild or worse")),
            (Grade.MODERATE, _lazy("Moderate or worse")),
            (Grade.SEVERE, _lazy("Severe or worse")),
            (Grade.LIFE_THREATENING, _lazy("Life-threatening")),
        ],
    )
    window = forms.ChoiceField(
        label=_lazy("Window"),
        choices=[
            ("24", _lazy("To 24 h after the end")),
            ("infusion", _lazy("While infusing")),
            ("72", _lazy("To 72 h after the end")),
            ("any", _lazy("Whenever recorded")),
        ],
    )


class ReductionForm(ReportForm):
    source = forms.ChoiceField(
        label=_lazy("From"),
        required=False,
        choices=[
            ("", _lazy("Reactions and flags")),
            ("reaction", _lazy("Reactions, from onset")),
            ("flag", _lazy("Flags, from raising")),
        ],
    )


class VitalsForm(ReportForm):
    pass


class FlagsForm(ReportForm):
    action = forms.ChoiceField(
        label=_lazy("Called for"),
        required=False,
        choices=[("", _lazy("Every act")), *FlagAction.choices],
    )


def months_before(month: date, count: int) -> date:
    """The first day of the month so many months earlier."""
    place = month.year * 12 + month.month - 1 - count
    return date(place // 12, place % 12 + 1, 1)
