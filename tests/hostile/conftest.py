"""What all hostile tests share: quick rendering, a quiet log."""

import logging

import django.test.utils
import pytest
from django.template import Template


@pytest.fixture(autouse=True)
def _quickly(monkeypatch):
    """Thousands of answers: do not note each template, do not log each refusal."""
    render = django.test.utils._TestState.saved_data.template_render
    monkeypatch.setattr(Template, "_render", render)
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
