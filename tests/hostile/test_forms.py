"""Every form against what nobody should send: refused or saved as typed (SAFETY 3)."""

import random

import pytest

from tests.hostile import fuzz, world

SEED = 20260302


@pytest.fixture
def fuzzer(clinic, other_clinic):
    made = world.build(clinic, other_clinic)
    fuzzer = fuzz.Fuzzer(made, random.Random(SEED), fuzz.harvest(made))
    yield fuzzer
    fuzzer.close()


def throw(fuzzer, count: int) -> None:
    fuzzer.run(count)
    print(f"\n{len(fuzzer.found)} forms, answers {dict(fuzzer.statuses)}")
    print(f"saved {sum(fuzzer.saved.values())} at {len(fuzzer.saved)} addresses")
    kinds = list(dict.fromkeys(fuzzer.failures))
    assert not kinds, f"{len(kinds)} failures\n" + "\n".join(kinds[:20])


def test_no_form_fails_saves_half_or_alters_what_was_typed(fuzzer):
    throw(fuzzer, 2_000)


@pytest.mark.soak
def test_no_form_fails_in_fifty_thousand_posts(fuzzer):
    throw(fuzzer, 50_000)
