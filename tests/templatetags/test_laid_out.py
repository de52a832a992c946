"""What a browser gets of a template: its indents are left out, and nothing else."""

from pathlib import Path

import pytest
from django.conf import settings
from django.template import engines
from django.template.loader import get_template

FOLDER = Path(settings.BASE_DIR) / "templates"
NAMES = sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.html"))


@pytest.mark.parametrize("name", NAMES)
def test_of_a_template_only_white_space_is_left_out(name):
    loaded = get_template(name).template.source
    written = (FOLDER / name).read_text(encoding="utf-8")

    assert "".join(loaded.split()) == "".join(written.split())
    assert loaded.split() == written.split()
    assert not any(line[:1].isspace() for line in loaded.splitlines())


def test_white_space_that_a_reader_sees_is_in_no_template():
    for name in NAMES:
        assert "<pre" not in (FOLDER / name).read_text(encoding="utf-8"), name


def test_a_line_break_stays_between_two_words():
    engine = engines["django"].engine
    found = engine.template_loaders[0]
    loader = getattr(found, "loaders", [found])[0]
    origin = next(iter(loader.get_template_sources("base.html")))

    assert "\n" in loader.get_contents(origin)
    assert "\n " not in loader.get_contents(origin)
