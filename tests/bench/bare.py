"""What Django itself costs: one view that inserts one row, in a database of the same
settings. Nothing of the product is loaded.
"""

import os
from pathlib import Path

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connection
from django.http import HttpResponse
from django.urls import path

from ivig_clinic.databases import sqlite

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    DATABASES={"default": sqlite(Path(os.environ["BARE_FILE"]))},
    ROOT_URLCONF=__name__,
    SECRET_KEY="only for measuring",  # noqa: S106
)
django.setup()


def insert(request):
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY, n INT)"
        )
        cursor.execute("INSERT INTO rows (n) VALUES (1)")
    return HttpResponse("saved")


urlpatterns = [path("", insert)]
application = get_wsgi_application()
