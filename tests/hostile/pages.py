"""Reads a page as a browser does: its forms, its elements, its words."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta"}
VOID |= {"source", "track", "wbr", "path", "circle", "rect", "line", "use", "polyline"}


@dataclass
class Control:
    """One field of a form with what the page put into it."""

    name: str
    kind: str
    values: list[str] = field(default_factory=list)
    choices: list[str] = field(default_factory=list)
    is_required: bool = False
    longest: int | None = None
    is_number: bool = False


@dataclass
class PageForm:
    """One form of a page: where it goes, and its controls by name."""

    action: str
    method: str
    controls: dict[str, Control] = field(default_factory=dict)
    buttons: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def shape(self) -> tuple:
        return (self.action, tuple(sorted(self.controls)), tuple(sorted(self.buttons)))


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.forms: list[PageForm] = []
        self.by_id: dict[str, PageForm] = {}
        self.loose: list[tuple[str, str, dict]] = []
        self.form: PageForm | None = None
        self.select: Control | None = None
        self.area: Control | None = None
        self.raw = ""
        self.scripts: list[str] = []

    def handle_starttag(self, tag, attrs):
        given = {name: value or "" for name, value in attrs}
        self.elements.append((tag, given))
        if tag in ("script", "style"):
            self.raw = tag
        if tag == "form":
            method = given.get("method", "get").lower()
            action = given.get("action", "")
            if "hx-post" in given and not action:
                action, method = given["hx-post"], "post"
            self.form = PageForm(action=action, method=method)
            self.forms.append(self.form)
            if "id" in given:
                self.by_id[given["id"]] = self.form
        elif tag in ("input", "select", "textarea", "button"):
            self._control(tag, given)
        elif tag == "option" and self.select is not None:
            value = given.get("value", "")
            self.select.choices.append(value)
            if "selected" in given:
                self.select.values.append(value)

    handle_startendtag = handle_starttag

    def _control(self, tag, given):
        if "form" in given:
            self.loose.append((tag, given["form"], given))
        elif self.form is not None:
            made = add(self.form, tag, given)
            self.select = made if tag == "select" else None
            self.area = made if tag == "textarea" else None

    def handle_endtag(self, tag):
        if tag == self.raw:
            self.raw = ""
        if tag == "form":
            self.form = None
        elif tag == "select":
            self.select = None
        elif tag == "textarea":
            self.area = None

    def handle_data(self, data):
        if self.raw:
            self.scripts.append(data)
        else:
            self.words.append(data)
        if self.area is not None:
            self.area.values = [data.removeprefix("\n")]


def add(form: PageForm, tag: str, given: dict) -> Control | None:
    """Take one control into a form, as it would be sent."""
    name, kind = given.get("name", ""), given.get("type", tag)
    if tag == "button" or kind == "submit":
        if given.get("type", "submit") == "submit":
            form.buttons.append(
                (name, given.get("value", ""), given.get("formaction", ""))
            )
        return None
    if not name or "disabled" in given:
        return None
    control = form.controls.setdefault(name, Control(name=name, kind=kind))
    control.is_required |= "required" in given
    if given.get("maxlength", "").isdigit():
        control.longest = int(given["maxlength"])
    control.is_number |= given.get("inputmode") in ("numeric", "decimal")
    if kind in ("radio", "checkbox"):
        control.choices.append(given.get("value", "on"))
        if "checked" in given:
            control.values.append(given.get("value", "on"))
    elif tag == "input":
        control.values.append(given.get("value", ""))
    return control


def read(html: str) -> _Reader:
    """What a browser makes of a page or a part of one."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    for tag, form_id, given in reader.loose:
        if form_id in reader.by_id:
            add(reader.by_id[form_id], tag, given)
    return reader


def forms_of(html: str, address: str) -> Iterator[PageForm]:
    """The posting forms of a page, with each button that leads elsewhere as its own."""
    for form in read(html).forms:
        form.action = form.action or address
        if form.method == "post":
            yield form
            for name, value, action in form.buttons:
                if action:
                    yield PageForm(
                        action=action,
                        method="post",
                        controls=form.controls,
                        buttons=[(name, value, "")],
                    )
