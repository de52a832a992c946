"""Vials: a scanned GS1 code, or product, lot, expiry and grams typed from the label."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from biip import ParseError
from biip.gs1_messages import GS1Message
from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from sessions.catalogue.products import products
from sessions.forms.base import ClinicForm
from sessions.forms.fields import DayField, MomentField, NumberField, PlainText
from sessions.rules.quantities import plain

SEPARATOR = "\x1d"
WRITTEN_SEPARATORS = ("<GS>", "{GS}", "␝", "\\x1d", "\\u001d")
"""How scanners write FNC1 when they cannot type the character itself."""
SYMBOLOGY = re.compile(r"^\]([A-Za-z][0-9A-Za-z])")
GS1_SYMBOLS = ("C1", "d2", "e0", "E0", "E4", "J1", "Q3")
"""What a scanner puts before a code of GS1, or before a product's number alone."""
OTHER_SYMBOLS = {"A": "Code 39", "C": "Code 128", "d": "DataMatrix", "Q": "QR"}
LONGEST_CODE = 200
SERIAL_MAY_FOLLOW = re.compile(r"^.{3,}21.+$")


class BarcodeError(ValueError):
    """A scan that cannot be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What one GS1 code says about a vial.

    `doubtful` means that the scanner sent no separator and the lot is long enough
    to hold a serial number too: only the eye on the label can tell.
    """

    gtin: str
    lot: str
    expiry: date
    serial: str = ""
    doubtful: bool = False


def read_barcode(text: str) -> Scan:
    """Read a GS1 DataMatrix or GS1-128 as scanners type it; `BarcodeError` if not one.

    FNC1 may come as the group separator, as one of `WRITTEN_SEPARATORS`, or not at
    all. Codes in brackets, as printed under the symbol, are read too.
    """
    raw = text.strip(" \t\r\n")
    for written in WRITTEN_SEPARATORS:
        raw = raw.replace(written, SEPARATOR)
    symbol = SYMBOLOGY.match(raw)
    if symbol and symbol[1] not in GS1_SYMBOLS:
        raise BarcodeError(
            _(
                "This is another kind of code ({kind}), not the pack's own. Scan the "
                "square code with product, lot and expiry."
            ).format(kind=OTHER_SYMBOLS.get(symbol[1][0], f"]{symbol[1]}"))
        )
    raw = SYMBOLOGY.sub("", raw).strip(SEPARATOR)
    if raw.isdigit() and len(raw) in (8, 12, 13, 14):
        raise BarcodeError(
            _(
                "This code names the product only. Scan the square code, "
                "which also holds lot and expiry, or type them below."
            )
        )
    try:
        if not raw:
            raise ValueError("nothing but separators")
        message = GS1Message.parse_hri(raw) if raw[:1] == "(" else GS1Message.parse(raw)
    except (ParseError, ValueError) as error:
        raise BarcodeError(
            _(
                "This code could not be read as GS1. Scan it again, or "
                "type what the label says below."
            )
        ) from error
    found = {element.ai.ai: element for element in message.element_strings}
    if "01" not in found:
        raise BarcodeError(_("This code holds no product number (01). Type it below."))
    if found["01"].gtin is None:
        raise BarcodeError(
            _("The product number's check digit is wrong. Scan it again.")
        )
    missing = [
        word for ai, word in (("10", _("lot")), ("17", _("expiry"))) if ai not in found
    ]
    if missing:
        raise BarcodeError(
            _("This code does not hold: {missing}. Type what the label says.").format(
                missing=", ".join(missing)
            )
        )
    expiry = found["17"].date
    if expiry is None:
        raise BarcodeError(_("The expiry in this code is no date. Type it below."))
    lot = found["10"].value
    unseparated = SEPARATOR not in raw and raw[:1] != "(" and "21" not in found
    return Scan(
        gtin=found["01"].value,
        lot=lot,
        expiry=expiry,
        serial=found["21"].value if "21" in found else "",
        doubtful=unseparated and bool(SERIAL_MAY_FOLLOW.match(lot)),
    )


class CodeField(forms.CharField):
    """What a scanner types; it may hold the group separator, nothing else odd."""

    def __init__(self, **options) -> None:
        options.setdefault("strip", False)
        options.setdefault(
            "widget",
            forms.TextInput(
                attrs={
                    "autocomplete": "off",
                    "autocapitalize": "off",
                    "spellcheck": "false",
                    "data-enter": "submit",
                }
            ),
        )
        super().__init__(max_length=LONGEST_CODE, **options)

    def to_python(self, value):
        text = super().to_python(value) or ""
        text = text.strip(" \t\r\n")
        if any(not " " <= sign <= "~" and sign not in "\x1d␝" for sign in text):
            raise forms.ValidationError(
                _("A scan holds plain letters and digits only.")
            )
        return text


class VialForm(ClinicForm):
    """One vial for one visit, scanned or typed.

    `pack_of` tells product and grams of a GTIN that this clinic has used before, so
    that a scan alone is enough; a new pack asks for both once.
    """

    code = CodeField(required=False, label=_lazy("Scan vial"))
    product_key = forms.ChoiceField(required=False, label=_lazy("Product on the label"))
    grams = NumberField(
        required=False, low="0.1", high="100", places=2, unit="g", label=_lazy("Grams")
    )
    lot = PlainText(required=False, max_length=40, label=_lazy("Lot"))
    expiry = DayField(required=False, label=_lazy("Expiry"))
    event_time = MomentField(required=False, label=_lazy("Opened at"))
    looks_wrong = forms.BooleanField(
        required=False, label=_lazy("Turbid, particles, shaken or cold")
    )

    def __init__(
        self,
        *args,
        pack_of: Callable[[str], tuple[str, Decimal] | None] = lambda gtin: None,
        **options,
    ) -> None:
        super().__init__(*args, **options)
        self.pack_of = pack_of
        self.fields["product_key"].choices = [
            ("", _("Choose")),
            *((key, product.brand) for key, product in sorted(products().items())),
        ]
        self.values: dict = {}

    def clean(self):
        given = super().clean()
        if given.get("looks_wrong"):
            self.add_error(
                "looks_wrong",
                _("Set this vial aside and take another; it was not recorded."),
            )
        if given.get("code"):
            self._from_code(given)
        elif "code" not in self.errors:
            self._typed(given)
        if not self.errors:
            self._check_size(given)
        if not self.errors:
            self.values = {
                name: given[name] for name in ("product_key", "grams", "lot", "expiry")
            }
            self.values |= {
                "gtin": given.get("gtin", ""),
                "serial": given.get("serial", ""),
            }
        return given

    def _from_code(self, given: dict) -> None:
        try:
            scan = read_barcode(given["code"])
        except BarcodeError as error:
            self.add_error("code", str(error))
            return
        given |= {
            "gtin": scan.gtin,
            "lot": scan.lot,
            "expiry": scan.expiry,
            "serial": scan.serial,
        }
        if scan.doubtful:
            self.ask(
                "code",
                _(
                    "The scanner left out the separator, so the lot reads "
                    "{lot}. Does the vial show exactly this lot, without a "
                    "serial number in it?"
                ).format(lot=scan.lot),
            )
        known = self.pack_of(scan.gtin)
        if known:
            given["product_key"], given["grams"] = known
        elif not (given.get("product_key") and given.get("grams")):
            self.add_error(
                "product_key",
                _(
                    "This pack is new here: choose product and grams once, "
                    "then save. Later scans know it."
                ),
            )

    def _typed(self, given: dict) -> None:
        needed = ("product_key", "grams", "lot", "expiry")
        missing = [name for name in needed if not given.get(name)]
        if len(missing) == len(needed) and not self.errors:
            self.add_error("code", _("Scan the vial, or type what its label says."))
            return
        for name in missing:
            if name not in self.errors:
                self.add_error(name, _("Needed."))

    def _check_size(self, given: dict) -> None:
        product = products()[given["product_key"]]
        sizes = product.vials.grams
        if given["grams"] not in sizes:
            words = ", ".join(plain(size) for size in sizes)
            self.add_error(
                "grams",
                _("{brand} comes in vials of {words} g. Read it again.").format(
                    brand=product.brand, words=words
                ),
            )
