"""Pages for paper that stand alone: their style is inside them, and so they become PDF.

Such a page needs neither the server nor another file: it is printed as PDF here, and
lies in the downtime folder there (`sessions.services.downtime`).
"""

import logging
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from django.contrib.staticfiles import finders
from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe

STYLES = ("foundation", "parts", "paper", "alone")
"""Style sheets of a page that stands alone, in their order."""


class NoPdf(Exception):
    """This server cannot make PDF: the library Pango is missing."""


def page_alone(template: str, context: Mapping[str, Any], request=None) -> str:
    """A page for paper with its style inside, without script and without links."""
    alone = {"style": _styles(STYLES), "drawing": _styles(("alone-drawing",))}
    return render_to_string(template, {**context, "alone": alone}, request)


@cache
def _styles(names: tuple[str, ...]) -> SafeString:
    files = [finders.find(f"sessions/{name}.css") for name in names]
    text = "\n".join(Path(file).read_text(encoding="utf-8") for file in files)
    return mark_safe(text)  # noqa: S308 # our own files, and nothing else  # nosec


def pdf_of(page: str) -> bytes:
    """A page that stands alone, as PDF; raises `NoPdf` where Pango is missing.

    Never inside a transaction: it takes about a second.
    """
    return laid_out(page).write_pdf(pdf_tags=True)


def laid_out(page: str):
    """A page as WeasyPrint lays it out on sheets; it fetches nothing from anywhere."""
    weasyprint = _weasyprint()
    nothing = weasyprint.URLFetcher(allowed_protocols=("none",))
    return weasyprint.HTML(string=page, url_fetcher=nothing).render()


@cache
def _weasyprint():
    """Loaded at the first PDF, as it is large; its absence must stop no server."""
    # It tells of every property that only screens know.
    logging.getLogger("weasyprint").setLevel(logging.ERROR)
    logging.getLogger("fontTools").setLevel(logging.ERROR)
    try:
        import weasyprint
    except OSError as error:  # a system library is missing
        raise NoPdf(str(error)) from error
    return weasyprint
