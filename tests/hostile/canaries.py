"""Strings that would run if a page, print or sheet took them for more than words."""

import re

MARK = "hostile"
SHORTEST = f"<{MARK}>"
"""For columns that hold less than a canary."""

CANARIES = (
    "<script>hostile()</script>",
    "</script><script>hostile()</script>",
    "</title><script>hostile()</script>",
    "</textarea><b hostile>",
    "</style><b hostile>",
    "--><b hostile>",
    "]]><b hostile>",
    "<b hostile>",
    '"><b hostile>',
    "'><b hostile>",
    '" hostile x="',
    "' hostile x='",
    '" onfocus=hostile() autofocus x="',
    "`onload=hostile()",
    "<img src=x onerror=hostile()>",
    "<svg/onload=hostile()>",
    "<svg><script>hostile()</script>",
    "<iframe src=//hostile>",
    "<a href=javascript:hostile()>a",
    "javascript:hostile()",
    "data:text/html,<b hostile>",
    "<style>*{hostile:1}</style>",
    "<meta http-equiv=refresh content=hostile>",
    "<base href=//hostile/>",
    "<form action=//hostile>",
    "<b hx-get=//hostile>",
    "{{ 13370001|add:1 }}hostile",
    "{% debug %}hostile",
    "${13370001+1}hostile",
    "&lt;b hostile&gt;",
    '=HYPERLINK("//hostile")',
    " @hostile",
    "\t+hostile",
)

WORKED_OUT = re.compile(r"\b13370002\b")
"""What the templates among the canaries would come to."""

ADDRESSES = {"href", "src", "action", "formaction", "data", "srcset", "poster"}


def alive(elements: list[tuple[str, dict[str, str]]], scripts: list[str]) -> list[str]:
    """Whatever a browser would obey rather than show."""
    found = [f"inside a script: {text[:60]}" for text in scripts if MARK in text]
    found += [f"<{tag}>" for tag, _ in elements if tag == MARK]
    for tag, attributes in elements:
        for name, value in attributes.items():
            if MARK in name or name.startswith("on"):
                found.append(f"<{tag} {name}={value[:40]}>")
            if name in ADDRESSES | {"content"} and MARK in value and tag != "option":
                found.append(f"<{tag} {name}={value[:60]}>")
            if name.startswith("hx-") and name != "hx-vals" and MARK in value:
                found.append(f"<{tag} {name}={value[:60]}>")
            if name in ADDRESSES and value.strip().lower().startswith(
                ("javascript:", "data:", "//")
            ):
                found.append(f"<{tag} {name}={value[:60]}>")
    return found
