"""Which Chromium drives the journeys and measurements, and how it is started."""

import os
import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic"),
    *("--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)


def browser_path() -> str | None:
    named = os.environ.get("IVIG_CHROMIUM")
    candidates = (shutil.which(name) for name in (named, *NAMES) if name)
    return next((path for path in candidates if path), None)
