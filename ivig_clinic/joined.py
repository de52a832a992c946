"""Scripts and styles joined: a page asks for one of each, however many files they are.

Nothing is built: the files of `JOINED` are put one after the other, without comments
and indents, whenever one of them is newer. `collectstatic` and a developer's server
find the result here.
"""

import os
import re
import tempfile
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles import finders
from django.core.files.storage import FileSystemStorage

LEFT_OUT = {
    ".js": re.compile(
        r"^(?:[ \t]*(?://.*|/\*(?s:.*?)\*/[ \t]*)?\n)*[ \t]*"
        r"|(?<=[;{},)])[ \t]+// [^'\"`\n]*$",
        re.MULTILINE,
    ),
    ".css": re.compile(r"/\*(?s:.*?)\*/|^[ \t]+", re.MULTILINE),
}
"""Indents and comments; in script those that hold no quotation mark, so that no text is
taken for one."""


class JoinedFinder(finders.BaseFinder):
    """Finds `joined/clinic.js` and the like, made of the files the settings name."""

    def __init__(self, app_names=None, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.storage = FileSystemStorage(location=settings.JOINED_FOLDER)

    def check(self, **kwargs) -> list:
        return []

    def find(self, path, find_all=False, **kwargs):
        if path not in settings.JOINED:
            return []
        place = str(join(path))
        return [place] if find_all else place

    def list(self, ignore_patterns):
        for name in settings.JOINED:
            join(name)
            yield name, self.storage


def join(name: str) -> Path:
    """Write a joined file when one of its parts changed; give its place."""
    place = Path(settings.JOINED_FOLDER) / name
    parts = [Path(finders.find(part)) for part in settings.JOINED[name]]
    newest = max(part.stat().st_mtime_ns for part in (*parts, Path(__file__)))
    if place.exists() and place.stat().st_mtime_ns >= newest:
        return place
    strip = LEFT_OUT[place.suffix]
    text = "\n".join(strip.sub("", part.read_text(encoding="utf-8")) for part in parts)
    place.parent.mkdir(parents=True, exist_ok=True)
    # Put in place at once: another process may be reading it.
    handle, written = tempfile.mkstemp(dir=place.parent)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(written, 0o644)
    os.replace(written, place)
    return place
