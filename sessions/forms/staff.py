"""Signing in, and asking the password again at a signature."""

from django import forms


class SignInForm(forms.Form):
    """Name and password of a member of staff."""

    username = forms.CharField(
        max_length=60,
        label="User name",
        widget=forms.TextInput(attrs={"autocomplete": "username", "autofocus": True}),
    )
    password = forms.CharField(
        max_length=200,
        strip=False,
        label="Password",
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )
