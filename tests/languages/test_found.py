"""Nothing that a screen shows stands outside gettext: templates and Python."""

import ast
import re
from pathlib import Path

import pytest
from django.conf import settings

from sessions.translations import APP
from tests.languages.pseudo import shown_in

TEMPLATES = sorted(settings.TEMPLATES[0]["DIRS"][0].rglob("*.html"))
PYTHON = sorted(
    path
    for path in APP.rglob("*.py")
    if not {"migrations", "management", "demo", "backups", "formats"} & {*path.parts}
)

SAME_EVERYWHERE = {
    *("mL", "h", "kg", "g", "mg", "min", "mmHg", "L", "dL", "cm", "m", "s", "d"),
    *("IVIG", "NEWS2", "NEWS", "SpO", "BMI", "MRN", "Rx", "RN", "IV", "K"),
    *("GS1", "DataMatrix", "FHIR", "JSON", "CSV", "PDF", "UTC", "VIP", "SHA", "S", "v"),
    *("x", "R", "i", "n", "q", "MedDRA", "CTCAE", "XLSX", "SpO₂", "m²", "C", "F"),
}
"""Units, names and signs that every language writes alike."""

HIDDEN = re.compile(
    r"{%\s*comment.*?endcomment\s*%}|{%\s*blocktrans.*?endblocktrans\w*\s*%}"
    r"|{% block body_class %}.*?{% endblock %}"
    r"|{#.*?#}|{%.*?%}|{{.*?}}",
    re.DOTALL,
)
LITERAL = re.compile(
    r"""(?:\|default(?:_if_none)?:|\b(?:words|details|hint|summary|title|yes|legend|unit|name|total_word)=)
    "([A-Z][a-z][^"]*|[a-z]+\ [^"]*|days|weeks|acts)" """.strip(),
    re.VERBOSE,
)


def words_of(text: str) -> set[str]:
    text = text.replace("IVIG Clinic", "")
    return set(re.findall(r"[^\W\d_]+\d?", text)) - SAME_EVERYWHERE


def bare_words(source: str) -> list[str]:
    """Texts of a template that no translate tag holds."""
    left = HIDDEN.sub("", source)
    if re.match(r"\s*[\w-]+=", left):  # attributes of an element that stands elsewhere
        left = f"<i {left}>"
    found = [text for text in shown_in(left) if words_of(text)]
    return found + LITERAL.findall(HIDDEN.sub(_tags_only, source))


def _tags_only(match: re.Match) -> str:
    is_tag = match[0].startswith(("{%", "{{")) and "comment" not in match[0][:12]
    return match[0] if is_tag and "blocktrans" not in match[0][:20] else ""


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_no_text_of_a_template_stands_bare(path: Path):
    assert not bare_words(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "source",
    [
        "<p>Weight</p>",
        '<a title="Weight">7</a>',
        "{% if x %}late{% endif %}",
        '{% include "a.html" with words="Pump shows" %}',
        '{{ x|default:"none yet" }}',
    ],
)
def test_a_bare_text_of_a_template_is_found(source):
    assert bare_words(source)


SAYS_FIRST = {"ValidationError", "NumberError", "BarcodeError"}
SAYS_SECOND = {"add_error", "ask", "DosingError"}
LEVELS = {"success", "info", "warning", "error"}
REFUSALS = {"Refused", "Stale", "KeyReused"}
SHOWN_BY_NAME = {"label", "help_text", "because", "clears", "calls_for", "empty_label"}


def bare_strings(source: str) -> list[str]:
    """Strings of Python that go to a screen without gettext."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef) and any(
            "Choices" in ast.unparse(base) for base in node.bases
        ):
            found += [
                label
                for each in node.body
                if isinstance(each, ast.Assign) and isinstance(each.value, ast.Tuple)
                for label in each.value.elts[1:]
            ]
        if isinstance(node, ast.JoinedStr):  # Babel does not look into these
            found += [node for each in ast.walk(node) if _is_looked_up(each)]
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func).rpartition(".")[2]
        if name in REFUSALS:
            found += [each for each in node.args[:1] if isinstance(each, ast.JoinedStr)]
        if name in SAYS_FIRST:
            found += node.args[:1]
        if name in SAYS_SECOND or (
            name in LEVELS and ast.unparse(node.func).startswith("messages.")
        ):
            found += node.args[1:2]
        found += [each.value for each in node.keywords if each.arg in SHOWN_BY_NAME]
    return [ast.unparse(each) for each in found if _is_bare(each)]


def _is_looked_up(node: ast.AST) -> bool:
    """A text that is looked up at this very place."""
    return (
        isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("_", "say", "phrase")
        and bool(node.args)
        and isinstance(node.args[0], ast.Constant)
    )


def _is_bare(node: ast.AST) -> bool:
    """Words as they stand; a text put together only of looked-up values is none."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str) and bool(words_of(node.value))
    if isinstance(node, ast.JoinedStr):
        if any(_is_looked_up(each) for each in ast.walk(node)):
            return True
        parts = [each for each in node.values if isinstance(each, ast.Constant)]
        return any(words_of(each.value) for each in parts)
    return False


@pytest.mark.parametrize(
    "path", PYTHON, ids=lambda path: f"{path.parent.stem}-{path.stem}"
)
def test_no_string_of_python_is_shown_bare(path: Path):
    assert not bare_strings(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "source",
    [
        'raise Refused(f"No {x}.")',
        'raise ValidationError("No.")',
        'form.add_error(None, f"No {x}.")',
        'messages.success(request, "Saved.")',
        'CharField(label="Weight")',
        "words = f\"{_('Pulse')} 80\"",
        'class Kind(models.TextChoices):\n    A = "a", "Alpha"',
    ],
)
def test_a_bare_string_of_python_is_found(source):
    assert bare_strings(source)


def labels_left_to_django(source: str) -> list[str]:
    """Fields without a label: Django would make one of the English name."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.ClassDef):
            continue
        for each in node.body:
            if not (isinstance(each, ast.Assign) and isinstance(each.value, ast.Call)):
                continue
            call = ast.unparse(each.value)
            made = ast.unparse(each.value.func).rpartition(".")[2]
            if (
                made.endswith("Field")
                and not made.startswith(("User", "NewP", "Code", "Pass", "Press"))
                and "label=" not in call
                and "HiddenInput" not in call
                and not any(keyword.arg is None for keyword in each.value.keywords)
            ):
                found.append(call)
    return found


@pytest.mark.parametrize(
    "path", sorted((APP / "forms").glob("*.py")), ids=lambda path: path.stem
)
def test_every_field_has_a_label_of_its_own(path: Path):
    assert not labels_left_to_django(path.read_text(encoding="utf-8"))


def test_a_field_without_a_label_is_found():
    source = "class F(Form):\n    weight_kg = NumberField(low=1)"

    assert labels_left_to_django(source)
