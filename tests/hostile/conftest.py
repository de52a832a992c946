"""What all hostile tests share: quick rendering, a quiet log."""

import logging

import django.test.utils
import pytest
from django.template import Template

from sessions import paper


@pytest.fixture(autouse=True)
def _quickly(monkeypatch):
    """Thousands of answers: note no template, draw no PDF, log no refusal."""
    render = django.test.utils._TestState.saved_data.template_render
    monkeypatch.setattr(Template, "_render", render)
    monkeypatch.setattr(paper, "pdf_of", str.encode)
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
