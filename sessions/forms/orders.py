"""Ordering: choices as typed, read strictly; what they mean is computed elsewhere."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django import forms
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from sessions.catalogue.indications import indications
from sessions.catalogue.medicines import medicines
from sessions.catalogue.products import products
from sessions.forms.base import ClinicForm
from sessions.forms.fields import DayField, NumberField, PlainText, WholeField
from sessions.models import OrderMedicine, OrderVersion, Purpose, User
from sessions.rules.language import say
from sessions.rules.quantities import plain

SLOTS = 4
"""How many medicines of each purpose one order can carry."""

UNITS = (("mg", "mg"), ("g", "g"), ("microgram", "microgram"), ("mL", "mL"))
ROUTES = (
    ("PO", _lazy("by mouth")),
    ("IV", "IV"),
    ("IM", "IM"),
    ("inhaled", _lazy("inhaled")),
)
PREFIX = {Purpose.BEFORE: "before", Purpose.AS_NEEDED: "needed"}
VALID_DAYS = 182


class ProductSelect(forms.Select):
    """Products that cannot be ordered are there, with the reason, and not choosable."""

    def create_option(self, name, value, label, *args, **options):
        option = super().create_option(name, value, label, *args, **options)
        product = products().get(str(value))
        if product is not None and not product.orderable:
            option["attrs"]["disabled"] = True
            option["label"] = _("{label} (cannot be ordered)").format(label=label)
        return option


class AllDays(DayField):
    """A calendar day; the picker opens on the one that stands there."""

    def __init__(self, **options) -> None:
        super().__init__(earliest=2000, latest=2100, **options)


def regimens() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Every published regimen by group of indications: `pi:1` is its second of PI."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for indication in sorted(indications().values(), key=lambda i: i.name):
        rows = groups.setdefault(capfirst(say(indication.group)), [])
        for place, regimen in enumerate(indication.regimens):
            mark = say("investigational") + ", " if regimen.investigational else ""
            dose = f"{mark}{say(regimen.dose_text)}"
            words = f"{say(regimen.name)}, {say(regimen.phase)}: {dose}"
            rows.append((f"{indication.key}:{place}", words))
    return iter(sorted(groups.items()))


class OrderForm(ClinicForm):
    """One order: product, regimen, dose, weight, risk, dates and medicines."""

    product = forms.ChoiceField(widget=ProductSelect, label=_lazy("Product"))
    regimen = forms.ChoiceField(label=_lazy("Indication and regimen"))
    dose_g_per_kg = NumberField(
        low="0.01",
        high="9.999",
        places=3,
        unit="g/kg",
        required=False,
        label=_lazy("Dose of the course"),
    )
    fixed_dose_g = NumberField(
        low="0.5",
        high="1000",
        places=2,
        unit="g",
        required=False,
        label=_lazy("or a fixed dose"),
        help_text=_lazy("Only where the regimen is in grams."),
    )
    days = WholeField(low=1, high=10, label=_lazy("Over"), initial="1")
    interval_weeks = NumberField(
        low="0.5",
        high="52",
        places=1,
        unit=_lazy("weeks"),
        required=False,
        label=_lazy("Every"),
    )
    cycles = WholeField(low=1, high=60, label=_lazy("Cycles"), initial="1")
    weight_basis = forms.ChoiceField(
        choices=[
            ("", _lazy("By the protocol")),
            ("actual", _lazy("Actual")),
            ("ideal", _lazy("Ideal")),
            ("adjusted", _lazy("Adjusted")),
        ],
        required=False,
        widget=forms.RadioSelect,
        label=_lazy("Dosing weight"),
    )
    experience = forms.ChoiceField(
        choices=[
            ("", _lazy("By the record")),
            ("first", _lazy("First infusion")),
            ("experienced", _lazy("Experienced")),
        ],
        required=False,
        widget=forms.RadioSelect,
        label=_lazy("Infusions before"),
    )
    treat_at_risk = forms.BooleanField(
        required=False,
        label=_lazy("Treat as at risk, although no risk factor is on record"),
    )
    reason = PlainText(
        max_length=1000,
        lines=True,
        required=False,
        label=_lazy("Reason"),
        help_text=_lazy(
            "Asked for when something lies outside label, range or record."
        ),
    )
    override_reason = PlainText(
        max_length=400,
        lines=True,
        required=False,
        label=_lazy("Why a hard stop is overridden"),
        help_text=_lazy("A contraindication only; the prescriber signs it separately."),
    )
    first_on = AllDays(required=False, label=_lazy("First infusion"))
    review_on = AllDays(required=False, label=_lazy("Review"))
    expires_on = AllDays(label=_lazy("Valid until"))
    instructions = PlainText(
        max_length=2000, lines=True, required=False, label=_lazy("Instructions")
    )
    change_note = PlainText(
        max_length=400, required=False, label=_lazy("What is changed")
    )

    extra_fields = ("show_plan",)

    def __init__(self, *args, changing: bool = False, **options) -> None:
        super().__init__(*args, **options)
        self.fields["product"].choices = [
            ("", _("Choose a product")),
            *sorted(
                ((p.key, p.brand) for p in products().values()),
                key=lambda row: row[1].casefold(),
            ),
        ]
        self.fields["regimen"].choices = [("", _("Choose a regimen")), *regimens()]
        today = self.clinic.day_of(self.at)
        self.fields["expires_on"].initial = today + timedelta(days=VALID_DAYS)
        for purpose, prefix in PREFIX.items():
            for slot in range(SLOTS):
                self.fields |= _medicine_fields(f"{prefix}{slot}", purpose)
        if not changing:
            del self.fields["change_note"]

    @property
    def slots(self) -> list[tuple[str, list[list]]]:
        """The rows of medicines as the page shows them."""
        return [
            (
                str(purpose.label),
                [
                    [
                        self[name]
                        for name in _medicine_fields(f"{prefix}{slot}", purpose)
                    ]
                    for slot in range(SLOTS)
                ],
            )
            for purpose, prefix in PREFIX.items()
        ]

    def clean_product(self) -> str:
        key = self.cleaned_data["product"]
        reason = products()[key].not_orderable_because
        if reason:
            raise forms.ValidationError(
                _("This product cannot be ordered: {reason}").format(reason=reason)
            )
        return key

    def clean(self) -> None:
        values = self.cleaned_data
        per_kg, grams = values.get("dose_g_per_kg"), values.get("fixed_dose_g")
        typed = {"dose_g_per_kg", "fixed_dose_g"} & set(self.errors)
        if not typed and (per_kg is None) == (grams is None):
            self.add_error("dose_g_per_kg", _("Give the dose in g/kg or in grams."))
        for purpose, prefix in PREFIX.items():
            for slot in range(SLOTS):
                self._clean_medicine(f"{prefix}{slot}", purpose)

    def _clean_medicine(self, name: str, purpose: Purpose) -> None:
        """A chosen medicine is whole; a dose without a medicine is no order."""
        values = self.cleaned_data
        if not values.get(f"{name}_key"):
            if values.get(f"{name}_dose") is not None:
                self.add_error(f"{name}_key", _("Which medicine?"))
            return
        wanted = {
            "dose": _("How much?"),
            "minutes" if purpose == Purpose.BEFORE else "gap": _("How many minutes?"),
        }
        if purpose == Purpose.AS_NEEDED:
            wanted["max"] = _("The most in 24 h?")
        for part, question in wanted.items():
            field = f"{name}_{part}"
            if values.get(field) is None and field not in self.errors:
                self.add_error(field, question)

    @property
    def choices(self) -> dict[str, Any]:
        """The values as orders are drafted from them."""
        values = self.cleaned_data
        indication, _, place = values["regimen"].partition(":")
        regimen = indications()[indication].regimens[int(place)]
        names = (
            *("product", "dose_g_per_kg", "fixed_dose_g", "days", "interval_weeks"),
            *("cycles", "weight_basis", "experience", "treat_at_risk", "reason"),
            *("override_reason", "first_on", "review_on", "expires_on"),
            *("instructions", "change_note"),
        )
        return {name: values[name] for name in names if name in values} | {
            "indication": indication,
            "phase": regimen.phase[:40],
        }

    @property
    def medicines(self) -> list[dict[str, Any]]:
        """The medicines to go with the course."""
        return [
            self._medicine(f"{prefix}{slot}", purpose)
            for purpose, prefix in PREFIX.items()
            for slot in range(SLOTS)
            if self.cleaned_data.get(f"{prefix}{slot}_key")
        ]

    def _medicine(self, name: str, purpose: Purpose) -> dict[str, Any]:
        values = self.cleaned_data
        entry = next(m for m in medicines() if m.key == values[f"{name}_key"])
        return {
            "purpose": purpose.value,
            "medicine_key": entry.key,
            "name": entry.drug,
            "dose": values[f"{name}_dose"],
            "dose_unit": values[f"{name}_unit"],
            "route": values[f"{name}_route"],
            "minutes_before": values.get(f"{name}_minutes"),
            "gap_minutes": values.get(f"{name}_gap"),
            "max_in_24h": values.get(f"{name}_max"),
            "source": entry.source.label,
        }


def _medicine_fields(name: str, purpose: Purpose) -> dict[str, forms.Field]:
    """One row: medicine, dose, unit, route, and the times of its purpose."""
    words = _("Before") if purpose == Purpose.BEFORE else _("As needed")
    number = {"low": "0.001", "high": "5000", "places": 3, "required": False}
    row: dict[str, forms.Field] = {
        f"{name}_key": forms.ChoiceField(
            choices=[("", _("None")), *_medicine_choices(purpose)],
            required=False,
            label=_("{words}: medicine").format(words=words),
        ),
        f"{name}_dose": NumberField(**number, label=_("Dose")),
        f"{name}_unit": forms.ChoiceField(
            choices=UNITS, required=False, label=_("Unit of the dose")
        ),
        f"{name}_route": forms.ChoiceField(
            choices=ROUTES, required=False, label=_("Route")
        ),
    }
    if purpose == Purpose.BEFORE:
        row[f"{name}_minutes"] = WholeField(
            low=0, high=600, required=False, label=_("Minutes before")
        )
    else:
        row[f"{name}_gap"] = WholeField(
            low=0, high=2880, required=False, label=_("Gap, min")
        )
        row[f"{name}_max"] = NumberField(
            low="0.001",
            high="20000",
            places=3,
            required=False,
            label=_("Most in 24 h, same unit"),
        )
    return row


def _medicine_choices(purpose: Purpose) -> list[tuple[str, str]]:
    """Those of the purpose first; any medicine may be ordered either way."""
    wanted = "premedication" if purpose == Purpose.BEFORE else "as_needed"
    rows = sorted(medicines(), key=lambda m: (m.use != wanted, m.drug, m.dose))
    return [(m.key, f"{m.drug}: {m.dose}, {m.route}") for m in rows]


def initial_of(version: OrderVersion, ordered: list[OrderMedicine]) -> dict[str, Any]:
    """A version's choices as a form shows them, to be changed.

    Its reasons are not among them: each version answers its own warnings.
    """
    found = indications().get(version.indication_key)
    phases = [r.phase[:40] for r in found.regimens] if found else []
    place = phases.index(version.phase) if version.phase in phases else 0
    because = version.plan["because"]
    stated = (
        version.experience
        if version.experience != because.get("experience_by_record")
        else ""
    )
    values: dict[str, Any] = {
        "product": version.product_key,
        "regimen": f"{version.indication_key}:{place}",
        "dose_g_per_kg": "" if version.fixed_dose_g else plain(version.dose_g_per_kg),
        "fixed_dose_g": plain(version.fixed_dose_g) if version.fixed_dose_g else "",
        "days": str(version.days),
        "interval_weeks": _number(version.interval_weeks),
        "cycles": str(version.cycles),
        "weight_basis": because.get("weight_basis", version.weight_basis),
        "experience": stated,
        "treat_at_risk": because.get("treat_at_risk", False),
        "first_on": version.first_on,
        "review_on": version.review_on,
        "expires_on": version.expires_on,
        "instructions": version.instructions,
    }
    slots = dict.fromkeys(PREFIX, 0)
    for medicine in ordered:
        purpose = Purpose(medicine.purpose)
        name = f"{PREFIX[purpose]}{slots[purpose]}"
        slots[purpose] += 1
        values |= {
            f"{name}_key": medicine.medicine_key,
            f"{name}_dose": plain(medicine.dose),
            f"{name}_unit": medicine.dose_unit,
            f"{name}_route": medicine.route,
            f"{name}_minutes": _number(medicine.minutes_before),
            f"{name}_gap": _number(medicine.gap_minutes),
            f"{name}_max": _number(medicine.max_in_24h),
        }
    return values


def _number(value: Any) -> str:
    return "" if value is None else plain(value)


class IdentityForm(ClinicForm):
    """Two identifiers typed from the wristband (A2)."""

    initials = PlainText(
        max_length=4,
        label=_lazy("Patient's initials"),
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "autocapitalize": "characters", "size": 4}
        ),
    )
    birth_year = WholeField(low=1900, high=2100, label=_lazy("Birth year"))


class PasswordField(forms.CharField):
    """The password asked again at a signature."""

    def __init__(self, **options) -> None:
        super().__init__(
            max_length=200,
            strip=False,
            label=_("Your password"),
            widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
            **options,
        )


class SignatureForm(IdentityForm):
    """Two identifiers and a password: sign, verify or countersign."""

    password = PasswordField()
    override = forms.BooleanField(
        required=False, label=_lazy("I override every hard stop named above")
    )

    def __init__(self, *args, stops: bool = False, **options) -> None:
        super().__init__(*args, **options)
        if not stops:
            del self.fields["override"]


class TelephoneOrderForm(OrderForm, IdentityForm):
    """A telephone order: the choices, who gave them, and that they were read back."""

    prescriber = forms.ModelChoiceField(
        queryset=User.objects.none(), label=_lazy("Prescriber on the telephone")
    )
    read_back = forms.BooleanField(
        required=False, label=_lazy("I read the whole order back, and it was confirmed")
    )

    def __init__(self, *args, prescribers, **options) -> None:
        super().__init__(*args, **options)
        self.fields["prescriber"].queryset = prescribers


class PreviewForm(OrderForm):
    """The same choices while they are typed: what is not there yet is no error."""

    def _refuse_strange_fields(self) -> None:
        """The page it looks at may hold more than an order."""

    @property
    def computable(self) -> bool:
        """Whether there is enough for a plan."""
        needed = {"product", "regimen", "dose_g_per_kg", "fixed_dose_g", "days"}
        return not needed & set(self.errors)

    @property
    def typed_errors(self) -> list[tuple[str, str]]:
        """Errors of fields in which something stands."""
        return [
            (self.fields[name].label or name.replace("_", " ").capitalize(), error)
            for name, found in self.errors.items()
            if name in self.fields and self.data.get(name)
            for error in found
        ]

    @property
    def medicines(self):
        """Only those that are whole already."""
        whole = self.cleaned_data
        for name in [n for n in whole if n.endswith("_key") and whole[n]]:
            row = name.removesuffix("_key")
            said = whole.get(f"{row}_dose") is not None
            if not said or f"{row}_unit" not in whole or f"{row}_route" not in whole:
                whole[name] = ""
        return super().medicines


class ReasonForm(ClinicForm):
    """Return, hold, resume, cancel, complete: each says why."""

    reason = PlainText(max_length=400, lines=True, label=_lazy("Why"))


class PatientSearchForm(forms.Form):
    """Whose orders; comes by POST, because a name never stands in an address."""

    q = PlainText(
        max_length=120, required=False, label=_lazy("Name, MRN or birth date")
    )


STATUSES = (
    ("open", _lazy("Open")),
    ("draft", _lazy("To sign")),
    ("signed", _lazy("To verify")),
    ("active", _lazy("Active")),
    ("on_hold", _lazy("On hold")),
    ("countersign", _lazy("To countersign")),
    ("closed", _lazy("Closed")),
    ("all", _lazy("All")),
)
"""Filters of the list of orders."""
