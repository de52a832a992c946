"""Forms of the list of recalled lots."""

from django import forms
from django.utils.translation import gettext_lazy as _lazy

from sessions.catalogue.products import products
from sessions.forms.base import ClinicForm
from sessions.forms.fields import PlainText


class RecallForm(ClinicForm):
    """A lot that was called back, and why."""

    product_key = forms.ChoiceField(label=_lazy("Product"))
    lot = PlainText(max_length=40, label=_lazy("Lot"))
    reason = PlainText(
        max_length=300,
        label=_lazy("Why, and who says so"),
        help_text=_lazy("The notice's number and its words."),
    )

    def __init__(self, *args, **options) -> None:
        super().__init__(*args, **options)
        self.fields["product_key"].choices = [
            ("", _lazy("Choose")),
            *((key, product.brand) for key, product in sorted(products().items())),
        ]


class LiftForm(ClinicForm):
    """Why a lot may be used again."""

    reason = PlainText(max_length=200, label=_lazy("Why may it be used again?"))
