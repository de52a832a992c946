"""Signing in, and what somebody signs in with."""

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from sessions.forms.base import ClinicForm
from sessions.forms.fields import PlainText


class CodeField(forms.CharField):
    """Six digits from an authenticator app; a blank between them is no mistake."""

    def __init__(self, **options) -> None:
        options.setdefault("label", _lazy("Code from the app"))
        options.setdefault("help_text", _lazy("Six digits."))
        widget = forms.TextInput(
            attrs={"autocomplete": "one-time-code", "inputmode": "numeric"}
        )
        super().__init__(max_length=20, widget=widget, **options)

    def to_python(self, value):
        text = "".join(super().to_python(value).split())
        if text and not (text.isascii() and text.isdigit() and len(text) == 6):
            raise ValidationError(_("The code has six digits."))
        return text


class PasswordAgainField(forms.CharField):
    """The password somebody has, asked once more."""

    def __init__(self, **options) -> None:
        options.setdefault("label", _lazy("Your password again"))
        widget = forms.PasswordInput(attrs={"autocomplete": "current-password"})
        super().__init__(max_length=200, strip=False, widget=widget, **options)


class SignInForm(forms.Form):
    """Name and password of a member of staff."""

    username = forms.CharField(
        max_length=60,
        label=_lazy("User name"),
        widget=forms.TextInput(
            attrs={
                "autocomplete": "username",
                "autocapitalize": "none",
                "spellcheck": "false",
                "autofocus": True,
            }
        ),
    )
    password = forms.CharField(
        max_length=200,
        strip=False,
        label=_lazy("Password"),
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )


class CodeForm(forms.Form):
    """The second step with an authenticator app."""

    code = CodeField()


class RecoveryForm(forms.Form):
    """The second step with one of ten recovery codes."""

    recovery = forms.CharField(
        max_length=40,
        label=_lazy("Recovery code"),
        help_text=_lazy("Letters and digits in groups of four. Each code counts once."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none"}),
    )


class PasskeyAnswerForm(forms.Form):
    """The second step with a passkey: what the browser answers."""

    credential = forms.CharField(max_length=20_000, widget=forms.HiddenInput)


class PasswordAgainForm(ClinicForm):
    """One button, and the password before it."""

    password = PasswordAgainField()


class _FactorForm(ClinicForm):
    name = PlainText(
        max_length=40,
        label=_lazy("Name it"),
        help_text=_lazy("So that you know it again: my phone, blue key."),
    )
    password = PasswordAgainField()


class AddAppForm(_FactorForm):
    """A new authenticator app, which shows that it has the secret."""

    code = CodeField(label=_lazy("Code the app shows now"))
    field_order = ("code", "name", "password")


class AddPasskeyForm(_FactorForm):
    """A new passkey, which the browser makes when the button is pressed."""

    credential = forms.CharField(
        max_length=20_000,
        widget=forms.HiddenInput,
        error_messages={
            "required": _lazy("No passkey was made. Press the button again.")
        },
    )


class EndLoginForm(ClinicForm):
    """One button: sign a browser out."""
