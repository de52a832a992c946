"""A plan as a document: nothing is lost or rounded on the way to the order and back."""

import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessions.catalogue.default_protocol import default_policy
from sessions.catalogue.indications import indication
from sessions.catalogue.products import products
from sessions.rules.dosing import Body, Ordered
from sessions.rules.plans import plan_document, rungs_of
from sessions.rules.titration import plan

ORDERABLE = [product for product in products().values() if product.orderable]


def made(product, weight="72", dose="0.4", days=1, **given_):
    return plan(
        product=product,
        indication=indication("pi"),
        body=Body(weight_kg=Decimal(weight), height_cm=Decimal(168), sex="female"),
        ordered=Ordered(g_per_kg=Decimal(dose), days=days),
        policy=default_policy().dosing,
        **given_,
    )


@settings(max_examples=60, deadline=None)
@given(
    product=st.sampled_from(ORDERABLE),
    tenths=st.integers(min_value=30, max_value=2000),
    days=st.integers(min_value=1, max_value=5),
    at_risk=st.booleans(),
)
def test_the_ladder_is_read_back_exactly_as_it_was_written(
    product, tenths, days, at_risk
):
    done = made(product, weight=f"{tenths / 10}", days=days, at_risk=at_risk)

    text = json.dumps(plan_document(done))

    assert rungs_of(json.loads(text)) == done.rungs


@pytest.mark.parametrize("product", ORDERABLE, ids=lambda product: product.key)
def test_one_limit_binds_and_it_is_the_lowest(product):
    document = plan_document(made(product, at_risk=True))

    binding = [limit for limit in document["limits"] if limit["binds"]]

    assert len(binding) == 1
    lowest = min(Decimal(limit["ml_per_kg_h"]) for limit in document["limits"])
    assert Decimal(binding[0]["ml_per_kg_h"]) == lowest


def test_each_weight_shows_the_dose_it_would_lead_to():
    options = plan_document(made(products()["privigen_10"]))["weights"]["options"]

    shown = {
        option["basis"]: (option["dose_g"], option["chosen"]) for option in options
    }
    assert shown == {
        "actual": ("28.8", True),
        "ideal": ("23.850394", False),
        "adjusted": ("25.830236", False),
    }


def test_the_steps_that_are_reached_add_up_to_the_volume():
    document = plan_document(made(products()["privigen_10"]))

    volumes = [Decimal(step["volume_ml"]) for step in document["steps"]]
    assert sum(volumes) == Decimal(document["volume_ml"])
    ends = [rung["ends_minute"] for rung in document["rungs"]]
    assert ends == ["30", "60", "90", "120", "143.958333"]
