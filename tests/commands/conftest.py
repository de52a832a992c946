"""Commands that need no database are tested without one, unless a test asks for it."""

import pytest

from sessions.management import policies


@pytest.fixture(autouse=True)
def _no_database(request, monkeypatch):
    if not {"db", "clinic"} & set(request.fixturenames):
        monkeypatch.setattr(policies, "_database_is_there", lambda: False)
