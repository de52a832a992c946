"""The door for the web server; it stays shut while the storage is unsafe."""

import gc
import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ivig_clinic.settings")
application = get_wsgi_application()

from sessions.storage import refuse_unsafe  # noqa: E402  (needs the apps loaded)

refuse_unsafe()

# What is loaded by now stays: the collector need not look at it again and again. It
# took up to 90 ms out of a nurse's save (docs/speed.md).
gc.collect()
gc.freeze()
gc.set_threshold(50_000, 20, 20)
