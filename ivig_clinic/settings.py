"""Settings of IVIG Clinic, read from the environment (`.env.example`)."""

import secrets
import sys
from pathlib import Path

try:  # SQLite 3.53 in place of the system's older library, before Django meets it
    import pysqlite3
    import pysqlite3.dbapi2

    sys.modules["sqlite3"] = pysqlite3
    sys.modules["sqlite3.dbapi2"] = pysqlite3.dbapi2
except ImportError:  # no wheel for this machine: see databases.sqlite_journal
    pass

from csp.constants import NONE, SELF

from ivig_clinic import databases, environment

BASE_DIR = Path(__file__).resolve().parent.parent
environment.load_file(BASE_DIR / ".env")

DEBUG = environment.flag("DEBUG", False)
TESTING = "pytest" in sys.modules
# Without a key a command may run (`plan` needs none), but the web server refuses
# to start: sessions.storage.refuse_unsafe.
SECRET_KEY_GIVEN = environment.text("SECRET_KEY")
SECRET_KEY = SECRET_KEY_GIVEN or secrets.token_urlsafe(50)
# Keys that were replaced: they open what they sealed, and sign nothing any more.
SECRET_KEY_FALLBACKS = environment.words("SECRET_KEY_FALLBACKS")
ALLOWED_HOSTS = environment.words("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
HTTPS = environment.flag("HTTPS", False)
CSRF_TRUSTED_ORIGINS = environment.words("CSRF_TRUSTED_ORIGINS")

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_htmx",
    "csp",
    "sessions",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "sessions.middleware.NotSaved",
    "sessions.middleware.Sheets",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "sessions.middleware.Presence",
    "sessions.middleware.DenyByDefault",
    "sessions.middleware.NoStore",
]

ROOT_URLCONF = "ivig_clinic.urls"
WSGI_APPLICATION = "ivig_clinic.wsgi.application"
FORM_RENDERER = "sessions.forms.controls.Controls"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": False,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.messages.context_processors.messages",
                "sessions.context.shell",
            ],
            "builtins": [
                "sessions.templatetags.clinic",
                "django.templatetags.i18n",
            ],
            "loaders": [
                (
                    "django.template.loaders.cached.Loader",
                    [
                        "ivig_clinic.laid_out.Loader",
                        "django.template.loaders.app_directories.Loader",
                    ],
                )
            ]
            if not DEBUG
            else [
                "ivig_clinic.laid_out.Loader",
                "django.template.loaders.app_directories.Loader",
            ],
        },
    }
]

DATABASE_URL = environment.text("DATABASE_URL")
DATABASES = {
    "default": databases.postgresql(DATABASE_URL)
    if DATABASE_URL
    else databases.sqlite(
        Path(
            environment.text("DATABASE_FILE", str(BASE_DIR / "data" / "clinic.sqlite3"))
        )
    )
}
# Sheets of the visits in chairs for the time without the server; beside the database.
DOWNTIME_FOLDER = environment.path(
    "DOWNTIME_FOLDER",
    BASE_DIR / "data" / "clinic-downtime"
    if DATABASE_URL
    else DATABASES["default"]["NAME"].with_name(
        f"{DATABASES['default']['NAME'].stem}-downtime"
    ),
)
DOWNTIME_DELAY_S = 0.1
"""How long after the answer a sheet is begun; with 0, before the line is free again."""
# One key opens every backup: keep a copy of it away from this machine.
BACKUP_FOLDER = environment.path("BACKUP_FOLDER", BASE_DIR / "backups")
BACKUP_KEY_FILE = environment.path("BACKUP_KEY_FILE", BASE_DIR / "backup.key")
# Admins are alarmed when the newest verified backup is older.
BACKUP_ALARM_HOURS = environment.whole("BACKUP_ALARM_HOURS", 24)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "infusions.User"
AUTHENTICATION_BACKENDS = ["sessions.access.StaffBackend"]
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "board"
LOGOUT_REDIRECT_URL = "sign-in"
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "sessions.services.passwords.KnownHereValidator"},
    {
        "NAME": "django.contrib.auth.password_validation."
        "UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ("username", "name", "phone")},
    },
]
# Wrong tries of one account, one address or one signature until it is locked, and for
# how long; an account is locked twice as long each time in a row.
LOCK_AFTER_FAILURES = environment.whole("LOCK_AFTER_FAILURES", 10)
LOCK_MINUTES = environment.whole("LOCK_MINUTES", 15)
# Posts of one login in a minute; nobody's hands are so fast. Tests are.
ACTS_PER_MINUTE = environment.whole("ACTS_PER_MINUTE", 9_999 if TESTING else 240)
# The header in which a proxy of ours writes the browser's address; any other is a lie.
CLIENT_ADDRESS_HEADER = environment.text("CLIENT_ADDRESS_HEADER")
if TESTING:
    PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

SESSION_COOKIE_AGE = 24 * 60 * 60  # no clinic lets a login last longer
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "sessions.views.refusals.csrf_failed"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
if HTTPS:
    SESSION_COOKIE_NAME = "__Host-sessionid"
    CSRF_COOKIE_NAME = "__Host-csrftoken"
    SECURE_HSTS_SECONDS = 31_536_000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SECURE_SSL_REDIRECT = True
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF],
        "connect-src": [SELF],
        "manifest-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "object-src": [NONE],
    }
}
# Where browsers tell what they refused. Chromium takes `report-to` with HTTPS only, and
# then leaves `report-uri` alone; every browser takes that one without HTTPS.
VIOLATIONS = "/policy-violations/"
CONTENT_SECURITY_POLICY["DIRECTIVES"]["report-uri"] = [VIOLATIONS]
if HTTPS:
    CONTENT_SECURITY_POLICY["DIRECTIVES"]["report-to"] = "policy"
DATA_UPLOAD_MAX_NUMBER_FIELDS = 300

LANGUAGE_CODE = "en-gb"
LANGUAGES = [("en-gb", "English"), ("de", "Deutsch")]
USE_I18N = True
FORMAT_MODULE_PATH = ["sessions.formats"]  # 1.5 in every language
USE_TZ = True
TIME_ZONE = "UTC"
LOCALE_PATHS = [BASE_DIR / "sessions" / "locale"]

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "build" / "static"
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "ivig_clinic.joined.JoinedFinder",
]
# A page asks for one script and one style, each joined of these (ivig_clinic.joined).
JOINED_FOLDER = BASE_DIR / "build" / "joined"
JOINED = {
    "joined/clinic.js": [
        "django_htmx/htmx-2.min.js",
        "sessions/clinic.js",
        "sessions/lock.js",
        "sessions/dialog.js",
        "sessions/offline.js",
        "sessions/alarm.js",
        "sessions/chart.js",
    ],
    "joined/clinic.css": [
        "sessions/foundation.css",
        "sessions/parts.css",
        "sessions/pages.css",
        "sessions/paper.css",
    ],
}
# Tests and a developer's server need no collected files.
WHITENOISE_AUTOREFRESH = WHITENOISE_USE_FINDERS = TESTING or DEBUG
STORAGES = {
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if TESTING or DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    }
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "class": "ivig_clinic.logs.WithoutValues",
            "format": "{levelname} {name} {message}",
            "style": "{",
        }
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    # gunicorn, too, logs what passes Django: through this handler, not its own.
    "loggers": {"gunicorn.error": {"handlers": ["console"], "propagate": False}},
    "root": {"handlers": ["console"], "level": "WARNING"},
}
