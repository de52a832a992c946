"""The catalogue: labels, guidelines and terms, each figure with its source."""

from dataclasses import dataclass, field
from itertools import groupby

from django.http import Http404
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from sessions.access import access
from sessions.catalogue.gate import risk_factors
from sessions.catalogue.indications import indications as all_indications
from sessions.catalogue.medicines import medicines as all_medicines
from sessions.catalogue.products import products as all_products
from sessions.catalogue.reactions import vocabulary
from sessions.models import LabelRegion
from sessions.rules.labels import PATIENT_CLASSES, Indication, LabelRates, Product
from sessions.rules.language import phrase, say
from sessions.rules.quantities import mg_per_kg_min
from sessions.rules.sources import Source

CLASS_WORDS = {
    "standard": _lazy("Everybody"),
    "first_infusion": _lazy("First infusion"),
    "switching_product": _lazy("Switching product: start"),
    "switching_product_or_first_infusion": _lazy("First infusion or switching: start"),
    "experienced": _lazy("Experienced, tolerates it"),
    "manufacturer_chart": _lazy("Experienced: manufacturer's chart"),
    "at_risk": _lazy("At risk (kidney, clot)"),
    "prior_reaction": _lazy("After an earlier reaction"),
}
REGION_WORDS = dict(LabelRegion.choices) | {
    "any": _lazy("All regions"),
    "uk": _lazy("United Kingdom"),
}
SOLD_IN = {
    "us": _lazy("United States"),
    "eu": _lazy("European Union"),
    "uk": _lazy("United Kingdom"),
}


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a figure comes from: the number of its source, and whether it is sure."""

    number: int
    verified: bool


@dataclass(slots=True)
class Notes:
    """The sources of one page, numbered as they are met."""

    texts: list[str] = field(default_factory=list)

    def mark(self, source: Source) -> Mark:
        if source.text not in self.texts:
            self.texts.append(source.text)
        return Mark(self.texts.index(source.text) + 1, source.verified)


@access("view_catalogue")
def products(request):
    """Every product, orderable or not."""
    rows = [
        {
            "product": product,
            "unverified": _unverified(product),
            "labelled": sum(
                product.key in regimen.labelled_products
                for indication in all_indications().values()
                for regimen in indication.regimens[:1]
            ),
        }
        for product in sorted(all_products().values(), key=lambda p: p.brand.casefold())
    ]
    context = {"rows": rows, "tab": "products"}
    return render(request, "catalogue/products.html", context)


def _unverified(product: Product) -> int:
    """How many figures of a product nobody has seen in a primary document."""
    sources = [product.source, product.vials.source]
    sources += [fact.source for fact in product.facts]
    sources += [each.source for each in product.contraindicated_with]
    sources += [step.source for rates in product.rates for step in rates.steps]
    return sum(not source.verified for source in sources)


@access("view_catalogue")
def product(request, key):
    """One product: facts, cautions, and label rates by indication, class and region."""
    found = all_products().get(key)
    if found is None:
        raise Http404
    notes = Notes()
    context = {
        "product": found,
        "mark": notes.mark(found.source),
        "vials": _vials(found),
        "vials_mark": notes.mark(found.vials.source),
        "facts": [(fact, notes.mark(fact.source)) for fact in found.facts],
        "cautions": [
            (each, notes.mark(each.source)) for each in found.contraindicated_with
        ],
        "min_age": found.min_age and (found.min_age, notes.mark(found.min_age.source)),
        "rates": [_rates(rates, found, notes) for rates in found.rates],
        "uses": [
            {"indication": each, "status": each.status_of(found.key)}
            for each in all_indications().values()
            if each.status_of(found.key) == "labelled"
        ],
        "sources": notes.texts,
        "tab": "products",
    }
    return render(request, "catalogue/product.html", context)


def _vials(product: Product) -> list[dict]:
    limited = dict(product.vials.only_in)
    return [
        {
            "grams": size,
            "ml": size * 100 / product.g_per_100ml,
            "regions": [SOLD_IN.get(r, r) for r in limited.get(size, ())],
        }
        for size in product.vials.grams
    ]


def _rates(rates: LabelRates, product: Product, notes: Notes) -> dict:
    named = all_indications().get(rates.indication_key)
    name = say(named.name) if named else rates.indication_key.replace("_", " ")
    return {
        "for": _("All indications") if rates.indication_key == "default" else name,
        "region": REGION_WORDS.get(rates.region, rates.region),
        "who": CLASS_WORDS.get(rates.patient_class, rates.patient_class),
        "used": PATIENT_CLASSES[rates.patient_class].use != "never",
        "is_label": rates.is_label,
        "note": rates.note,
        "mark": notes.mark(rates.source),
        "steps": [
            {
                "step": step,
                "mg_per_kg_min": mg_per_kg_min(step.ml_per_kg_h, product.g_per_100ml),
                "mark": notes.mark(step.source),
            }
            for step in rates.steps
        ],
    }


@access("view_catalogue")
def indications(request):
    """Every indication by group, with its dose and standing."""
    ordered = sorted(all_indications().values(), key=lambda i: (i.group, i.name))
    groups = [
        (group, [_summary(each) for each in members])
        for group, members in groupby(ordered, key=lambda i: i.group)
    ]
    context = {"groups": groups, "tab": "indications"}
    return render(request, "catalogue/indications.html", context)


def _summary(indication: Indication) -> dict:
    products_named = {
        key for regimen in indication.regimens for key in regimen.labelled_products
    }
    if not indication.has_dose:
        standing = phrase("investigational: no sourced dose")
    elif indication.investigational:
        standing = phrase("investigational")
    elif products_named & all_products().keys():
        standing = phrase("labelled")
    else:
        standing = phrase("off-label")
    return {
        "indication": indication,
        "standing": standing,
        "labelled": len(products_named & all_products().keys()),
    }


@access("view_catalogue")
def indication(request, key):
    """One indication: every published regimen, and who is labelled for it."""
    found = all_indications().get(key)
    if found is None:
        raise Http404
    notes = Notes()
    known = all_products()
    regimens = [
        {
            "regimen": each,
            "mark": notes.mark(each.source),
            "products": [known[k] for k in each.labelled_products if k in known],
        }
        for each in found.regimens
    ]
    context = _summary(found) | {
        "regimens": regimens,
        "sources": notes.texts,
        "tab": "indications",
    }
    return render(request, "catalogue/indication.html", context)


@access("view_catalogue")
def reactions(request):
    """Every reaction that can be recorded, its words and its codes."""
    notes = Notes()
    rows = [
        {
            "reaction": each,
            "synonyms": dict.fromkeys(map(say, each.synonyms)),
            "graded_by": [say(series) for series in each.graded_by],
            "codes": [(code, notes.mark(code.source)) for code in each.codes],
        }
        for each in sorted(vocabulary().reactions, key=lambda r: r.label)
    ]
    context = {"rows": rows, "sources": notes.texts, "tab": "reactions"}
    return render(request, "catalogue/reactions.html", context)


@access("view_catalogue")
def medicines(request):
    """Premedications, medicines as needed, and risk factors with what they change."""
    notes = Notes()
    context = {
        "medicines": [(each, notes.mark(each.source)) for each in all_medicines()],
        "risks": [(each, notes.mark(each.source)) for each in risk_factors().values()],
        "sources": notes.texts,
        "tab": "medicines",
    }
    return render(request, "catalogue/medicines.html", context)
