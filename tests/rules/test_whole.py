"""The rules' whole answers, held against those kept from the code before.

The file was written by the rules themselves: it shows that an answer changed, not that
it was right. What is right stands in the other tests, with its source.
"""

import json

import pytest

from tests.rules.whole import FILE, SCENES, answers

KEPT = json.loads(FILE.read_text())


@pytest.mark.parametrize("scene", SCENES)
def test_every_figure_act_and_sentence_is_as_it_was_kept(scene):
    """`python -m tests.rules.whole` writes them anew; read what it changes."""
    told = answers(scene)

    assert list(told) == list(KEPT[scene])
    for name, answer in told.items():
        assert answer == KEPT[scene][name], name
