"""Templates as they are sent: without the indents they are laid out with to be read."""

import re

from django.template.loaders import filesystem

INDENT = re.compile(r"\s*\n\s*")


class Loader(filesystem.Loader):
    """Django's own, one line break where a line ends: a quarter less of an answer."""

    def get_contents(self, origin) -> str:
        return INDENT.sub("\n", super().get_contents(origin))
