"""How tests read a page: its words and tags, whatever lines its template stands on."""

import re


def tight(page: str) -> str:
    """A page without the white space of its layout: none at a tag, one in a text."""
    return " ".join(re.sub(r"\s*(</?[a-zA-Z!][^>]*>)\s*", r"\1", page).split())
