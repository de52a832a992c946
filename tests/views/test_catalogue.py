"""Pages of the catalogue: every usable figure is on them, doubt included."""

import pytest
from django.urls import reverse
from django.utils.html import escape

from sessions.catalogue.indications import indications
from sessions.catalogue.products import products
from sessions.catalogue.reactions import vocabulary
from sessions.rules.quantities import shown

pytestmark = pytest.mark.django_db


def page(client, name, *args) -> str:
    response = client.get(reverse(name, args=args))
    assert response.status_code == 200, (name, args)
    return response.content.decode()


def test_every_product_is_listed_with_whether_it_can_be_ordered(sign_in, nurse):
    text = page(sign_in(nurse), "catalogue")

    for product in products().values():
        assert escape(product.brand) in text
        if not product.orderable:
            assert escape(product.not_orderable_because) in text


@pytest.mark.parametrize("key", products())
def test_a_product_page_shows_each_label_rate_and_its_source(sign_in, nurse, key):
    text = page(sign_in(nurse), "catalogue-product", key)
    product = products()[key]

    for rates in product.rates:
        for step in rates.steps:
            assert f'<td class="num">{shown(step.ml_per_kg_h, 4)}</td>' in text
    for fact in product.facts:
        if not fact.source.verified:
            assert "not verified" in text


@pytest.mark.parametrize("key", indications())
def test_an_indication_page_shows_each_regimen(sign_in, nurse, key):
    text = page(sign_in(nurse), "catalogue-indication", key)

    for regimen in indications()[key].regimens:
        assert text.count(f"<dd>{regimen.phase}") or regimen.phase in text
    if not indications()[key].has_dose:
        assert "investigational: no sourced dose" in text.lower()


def test_indications_are_listed(sign_in, nurse):
    text = page(sign_in(nurse), "catalogue-indications")

    assert text.count("/catalogue/indications/") >= len(indications())


def test_every_reaction_and_medicine_is_listed(sign_in, nurse):
    client = sign_in(nurse)

    text = page(client, "catalogue-reactions")
    for each in vocabulary().reactions:
        assert text.count(f'<th scope="row">{each.label}</th>') == 1
    assert "Cetirizine" in page(client, "catalogue-medicines")


def test_an_unknown_key_is_not_found(sign_in, nurse):
    client = sign_in(nurse)

    for name in ("catalogue-product", "catalogue-indication"):
        assert client.get(reverse(name, args=["nothing"])).status_code == 404
