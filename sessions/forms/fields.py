"""Form fields that refuse what they do not understand instead of guessing.

Django's own number fields accept `7_0`, `1e2` and full-width digits; these do not.
Each refusal names the problem in plain words.
"""

import re
import unicodedata
from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from sessions.rules.quantities import NumberError, parse_decimal, plain

# Python reads more, such as days of a numbered week: what is not written so is refused.
MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}([+-][0-9]{2}:?[0-9]{2})?"
)
PRESSED = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
BIDI_AND_INVISIBLE = {"Cf", "Cc", "Co", "Cs", "Cn"}
JOINERS = {"\u200c", "\u200d"}  # needed to write Persian, Hindi and some emoji


class PlainText(forms.CharField):
    """Text, NFC-normalised, without control or direction characters."""

    def __init__(self, *, max_length: int, lines: bool = False, **options) -> None:
        self.lines = lines
        if lines:
            options.setdefault("widget", forms.Textarea(attrs={"rows": 2}))
        super().__init__(max_length=max_length, **options)

    def to_python(self, value):
        text = unicodedata.normalize("NFC", super().to_python(value) or "")
        text = text.replace("\r\n", "\n") if self.lines else text
        allowed = {"\n", "\t"} | JOINERS if self.lines else {"\t"} | JOINERS
        for character in text:
            if (
                unicodedata.category(character) in BIDI_AND_INVISIBLE
                and character not in allowed
            ):
                raise ValidationError(
                    _("This contains an invisible or control character. Type it again.")
                )
        if text and not any(_visible(character) for character in text):
            raise ValidationError(_("This has no visible letter."))
        return text


def _visible(character: str) -> bool:
    return (
        unicodedata.category(character)[0] in "LNPSM"
        and character not in "\u3164\u115f"
    )


class _TypedField(forms.CharField):
    """Typed text that becomes a number, day or moment; its length counts as typed."""

    def clean(self, value):
        self.run_validators("" if value is None else str(value))
        value = self.to_python(value)
        self.validate(value)
        return value


class NumberField(_TypedField):
    """A decimal in ASCII digits with at most `places` decimals, between hard limits."""

    def __init__(
        self,
        *,
        low: str,
        high: str,
        places: int,
        unit: str = "",
        **options,
    ) -> None:
        self.low, self.high = Decimal(low), Decimal(high)
        self.places, self.unit = places, unit
        mode = "decimal" if places else "numeric"
        options.setdefault(
            "widget",
            forms.TextInput(attrs={"inputmode": mode, "autocomplete": "off"}),
        )
        super().__init__(max_length=20, **options)

    def to_python(self, value):
        if value in self.empty_values or not str(value).strip():
            return None
        try:
            number = parse_decimal(str(value), places=self.places, digits=15)
        except NumberError as error:
            raise ValidationError(str(error)) from error
        unit = f" {self.unit}" if self.unit else ""
        if number > self.high:
            raise ValidationError(
                _("{number}: at most {high}{unit}.").format(
                    number=plain(number), high=plain(self.high), unit=unit
                )
            )
        if number < self.low:
            raise ValidationError(
                _("{number}: at least {low}{unit}.").format(
                    number=plain(number), low=plain(self.low), unit=unit
                )
            )
        return number


class WholeField(NumberField):
    """A whole number between hard limits."""

    def __init__(self, *, low: int, high: int, **options) -> None:
        super().__init__(low=str(low), high=str(high), places=0, **options)

    def to_python(self, value):
        number = super().to_python(value)
        return None if number is None else int(number)


class DayField(_TypedField):
    """A calendar day, `YYYY-MM-DD`, between two years."""

    def __init__(self, *, earliest: int = 1900, latest: int = 2100, **options) -> None:
        self.earliest, self.latest = earliest, latest
        # Whatever the language, a browser's box for days takes only this form.
        widget = forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})
        options.setdefault("widget", widget)
        super().__init__(max_length=10, **options)

    def to_python(self, value):
        if value in self.empty_values:
            return None
        if isinstance(value, date):
            return value
        text = str(value).strip()
        digits = text.replace("-", "")
        if len(text) != 10 or not (digits.isascii() and digits.isdigit()):
            raise ValidationError(_("Write the day as YYYY-MM-DD."))
        if not self.earliest <= int(text[:4]) <= self.latest:
            raise ValidationError(
                _("The year must lie between {earliest} and {latest}.").format(
                    earliest=self.earliest, latest=self.latest
                )
            )
        try:
            return date.fromisoformat(text)
        except ValueError as error:
            raise ValidationError(_("There is no such day.")) from error


class MomentField(_TypedField):
    """A moment in the clinic's zone, `YYYY-MM-DDTHH:MM` with an optional offset.

    An hour that occurs twice at a clock change must carry its offset; one that does
    not exist is refused. The answer is in UTC.
    """

    pattern, written = MOMENT, "YYYY-MM-DDTHH:MM"

    def __init__(self, **options) -> None:
        widget = forms.DateTimeInput(
            format="%Y-%m-%dT%H:%M", attrs={"type": "datetime-local"}
        )
        options.setdefault("widget", widget)
        super().__init__(max_length=25, **options)
        self.zone: ZoneInfo | None = None
        self.latest: datetime | None = None

    def to_python(self, value):
        if value in self.empty_values:
            return None
        text = str(value).strip()
        if not self.pattern.fullmatch(text):
            raise ValidationError(
                _("Write the time as {written}.").format(written=self.written)
            )
        if not 1900 <= int(text[:4]) <= 2100:
            raise ValidationError(_("The year must lie between 1900 and 2100."))
        try:
            moment = datetime.fromisoformat(text)
        except ValueError as error:
            raise ValidationError(_("There is no such time.")) from error
        if moment.tzinfo is None:
            moment = self._in_zone(moment)
        else:
            self._leave_room()
        moment = moment.astimezone(UTC)
        if self.latest and moment > self.latest:
            raise ValidationError(_("This time lies in the future."))
        return moment

    def as_typed(self, moment: datetime) -> str:
        """A moment as the box holds it; with its offset in an hour that comes twice."""
        local = moment.astimezone(self.zone or UTC)
        if local.utcoffset() == local.replace(fold=1 - local.fold).utcoffset():
            return f"{local:%Y-%m-%dT%H:%M}"
        self._leave_room()
        return f"{local:%Y-%m-%dT%H:%M%z}"

    def _leave_room(self) -> None:
        """A browser's box for times has no room for an offset; a plain one has."""
        self.widget.attrs["type"] = "text"

    def _in_zone(self, moment: datetime) -> datetime:
        zone = self.zone or UTC
        first, second = (moment.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
        if first.utcoffset() == second.utcoffset():
            return first
        back = first.astimezone(UTC).astimezone(zone).replace(tzinfo=None)
        if back != moment:
            raise ValidationError(_("The clock skipped this time. Choose another."))
        options = _(" or ").join(
            f"{choice:%Y-%m-%dT%H:%M%z} ({word})"
            for choice, word in ((first, _("first")), (second, _("second")))
        )
        self._leave_room()
        raise ValidationError(
            _("This time occurred twice: write {options}.").format(options=options)
        )


class PressField(MomentField):
    """When a button was pressed, as the page writes it: UTC, to the second.

    A page sends it with an entry that had to wait for the line. It is held to the same
    limits as a typed time.
    """

    pattern, written = PRESSED, "YYYY-MM-DDTHH:MM:SSZ"

    def __init__(self, **options) -> None:
        super().__init__(required=False, widget=forms.HiddenInput(), **options)
