"""Draws an `<input>` without a template of its own: a visit's page has twenty."""

from typing import Any

from django.forms.renderers import DjangoTemplates
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

PLAIN = {
    f"django/forms/widgets/{name}.html"
    for name in ("text", "number", "hidden", "password", "checkbox", "date", "datetime")
}
"""Templates that are Django's `input.html` and nothing else."""


class Controls(DjangoTemplates):
    """Django's own renderer, and a shorter way to the same letters for an `<input>`."""

    def render(
        self, template_name: str, context: dict[str, Any], request: Any = None
    ) -> SafeString:
        if template_name not in PLAIN:
            return super().render(template_name, context, request)
        widget = context["widget"]
        words = {"type": widget["type"], "name": widget["name"]}
        if widget["value"] is not None:
            words["value"] = str(widget["value"])
        parts = [
            f" {name}" if value is True else f' {name}="{escape(value)}"'
            for name, value in (words | widget["attrs"]).items()
            if value is not False
        ]
        return mark_safe(f"<input{''.join(parts)}>")  # noqa: S308  # nosec
