"""The door for the web server; it stays shut while the storage is unsafe."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ivig_clinic.settings")
application = get_wsgi_application()

from sessions.storage import refuse_unsafe  # noqa: E402  (needs the apps loaded)

refuse_unsafe()
