"""What is drawn the short way is letter by letter what Django would draw."""

from pathlib import Path

import django.forms
import pytest
from django import forms
from django.forms.renderers import DjangoTemplates
from hypothesis import given
from hypothesis import strategies as st

from sessions.forms.controls import PLAIN, Controls

WIDGETS = [
    forms.TextInput,
    forms.NumberInput,
    forms.HiddenInput,
    forms.PasswordInput,
    forms.CheckboxInput,
    forms.DateInput,
    forms.DateTimeInput,
]
WORDS = st.text(max_size=12) | st.sampled_from(['"><b>', "it's", "a & b", "<script>"])


@pytest.mark.parametrize("widget", WIDGETS)
@given(value=WORDS | st.none() | st.integers(), attrs=st.dictionaries(
    st.sampled_from(["class", "id", "required", "disabled", "data-x", "maxlength"]),
    WORDS | st.booleans() | st.integers() | st.none(),
))  # fmt: skip
def test_a_control_is_drawn_as_django_draws_it(widget, value, attrs):
    context = widget(attrs).get_context("box", value, None)
    template = widget.template_name

    ours = Controls().render(template, context)

    assert template in PLAIN
    assert ours == DjangoTemplates().render(template, context).strip()


def test_only_templates_that_are_a_plain_input_are_drawn_the_short_way():
    folder = Path(django.forms.__file__).parent / "templates"
    for name in PLAIN:
        text = (folder / name).read_text().strip()
        assert text == '{% include "django/forms/widgets/input.html" %}'


def test_what_is_no_input_is_left_to_django():
    context = forms.Select(choices=[("a", "A")]).get_context("box", "a", {})

    assert "<option" in Controls().render("django/forms/widgets/select.html", context)
