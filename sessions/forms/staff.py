"""Signing in, one's own settings, and who works here."""

from django import forms
from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from sessions.forms.base import ClinicForm
from sessions.forms.fields import PlainText
from sessions.models import Theme, User
from sessions.roles import ROLES

USERNAME_LETTERS = set("abcdefghijklmnopqrstuvwxyz0123456789.-_")


class UsernameField(forms.CharField):
    """What somebody signs in with: short, lower case, typed on any keyboard."""

    def __init__(self, **options) -> None:
        options.setdefault("label", _lazy("User name"))
        options.setdefault(
            "help_text", _lazy("Small letters a to z, digits, dot, dash.")
        )
        widget = forms.TextInput(
            attrs={"autocomplete": "off", "autocapitalize": "none"}
        )
        super().__init__(max_length=60, min_length=2, widget=widget, **options)

    def to_python(self, value):
        text = super().to_python(value)
        strange = sorted(set(text) - USERNAME_LETTERS)
        if strange:
            raise ValidationError(
                _(
                    "Only small letters a to z, digits, dot and dash, not {strange!r}."
                ).format(strange=strange[0])
            )
        return text


class NewPasswordField(forms.CharField):
    """A password somebody chooses; at least 12 characters, none of the common ones."""

    def __init__(self, **options) -> None:
        options.setdefault(
            "help_text",
            _lazy("At least 12 characters; a few words are good. No other rule."),
        )
        widget = forms.PasswordInput(attrs={"autocomplete": "new-password"})
        super().__init__(max_length=200, strip=False, widget=widget, **options)


def check_password_pair(form: forms.Form, *, name: str, again: str, user: User) -> None:
    """Put the faults of a chosen password at its field."""
    chosen, repeated = form.cleaned_data.get(name), form.cleaned_data.get(again)
    if not chosen:
        return
    if repeated is not None and chosen != repeated:
        form.add_error(again, _("The two passwords differ. Type it again."))
    try:
        validate_password(chosen, user=user)
    except ValidationError as error:
        form.add_error(name, error)


class StaffForm(ClinicForm):
    """Who somebody is in this clinic."""

    name = PlainText(
        max_length=120,
        label=_lazy("Name"),
        help_text=_lazy("First name, then surname, as it stands on the signed record."),
    )
    credential = PlainText(
        label=_lazy("Credential"),
        max_length=20,
        required=False,
        help_text=_lazy("RN, MD, PharmD and the like."),
    )
    phone = PlainText(max_length=40, required=False, label=_lazy("Telephone"))
    role = forms.ChoiceField(
        label=_lazy("Role"),
        choices=[(role, capfirst(_lazy(role))) for role in ROLES],
        widget=forms.RadioSelect,
        help_text=_lazy(
            "Admins manage the clinic and do not chart; auditors only read."
        ),
    )


class AddStaffForm(StaffForm):
    """A new member of staff; the password for the first sign-in is made for them."""

    username = UsernameField()
    field_order = ("name", "username", "credential", "phone", "role")


class ChangeStaffForm(StaffForm):
    """A changed member of staff; `seen` stands for what the screen showed."""

    is_active = forms.BooleanField(
        required=False, label=_lazy("Works here: may sign in")
    )
    seen = forms.CharField(max_length=16, widget=forms.HiddenInput)


class ResetPasswordForm(ClinicForm):
    """One button: a new one-time password, or unlocked."""


class OwnPasswordForm(ClinicForm):
    """The old password once, the new one twice."""

    old = forms.CharField(
        max_length=200,
        strip=False,
        label=_lazy("Password you have now"),
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )
    new = NewPasswordField(label=_lazy("New password"))
    again = NewPasswordField(label=_lazy("New password again"), help_text="")

    def __init__(self, *args, user: User, **options) -> None:
        super().__init__(*args, **options)
        self.user = user

    def clean(self) -> None:
        check_password_pair(self, name="new", again="again", user=self.user)


class PreferencesForm(ClinicForm):
    """How the screens behave for one user."""

    auto_advance = forms.BooleanField(
        required=False, label=_lazy("Go on by itself when a field is complete")
    )
    alarm_sound = forms.BooleanField(
        required=False, label=_lazy("Sound for new flags and late vital signs")
    )
    language = forms.ChoiceField(
        choices=[("", _lazy("As the clinic")), *settings.LANGUAGES],
        required=False,
        widget=forms.RadioSelect,
        label=_lazy("Language"),
    )
    theme = forms.ChoiceField(
        choices=Theme.choices,
        required=False,
        widget=forms.RadioSelect,
        label=_lazy("Colours"),
    )
