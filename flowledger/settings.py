"""Configuration, from the environment only; `.env` in the checkout is read when present. See `.env.example`."""

from __future__ import annotations

import importlib.util
import os
import warnings
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from flowledger import embedded, logs
from flowledger.backoffice.theme import UNFOLD  # noqa: F401  (read by Unfold)

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
environ.Env.read_env(BASE_DIR / ".env")

# --- where we are ------------------------------------------------------------------------------------------------

FLOWLEDGER_ENV = env.str("FLOWLEDGER_ENV", "development")
if FLOWLEDGER_ENV not in {"development", "production"}:
    raise ImproperlyConfigured(f"FLOWLEDGER_ENV is '{FLOWLEDGER_ENV}'; use 'development' or 'production'.")
PRODUCTION = FLOWLEDGER_ENV == "production"
DEVELOPMENT_SECRET = "development-only-secret-that-production-refuses-to-start-with"  # noqa: S105

DEBUG = env.bool("DEBUG", False)
SECRET_KEY = env.str("SECRET_KEY", DEVELOPMENT_SECRET)
# Stored secrets (mailbox passwords, signing secrets) are encrypted with the first and read with any.
ENCRYPTION_KEYS = env.list("ENCRYPTION_KEYS", default=[SECRET_KEY])
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

if PRODUCTION:
    if DEBUG:
        raise ImproperlyConfigured("DEBUG is on; production refuses to start with it.")
    if SECRET_KEY == DEVELOPMENT_SECRET or len(SECRET_KEY) < 50:
        raise ImproperlyConfigured("SECRET_KEY must be set to at least 50 random characters in production.")
    if not ALLOWED_HOSTS or "*" in ALLOWED_HOSTS:
        raise ImproperlyConfigured("ALLOWED_HOSTS must name the hosts in production; '*' is refused.")
    for name in ("DATABASE_URL", "REDIS_URL"):
        if not env.str(name, ""):
            raise ImproperlyConfigured(f"{name} must be set in production; nothing is embedded there.")

# --- applications ------------------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "flowledger.backoffice.apps.BackofficeConfig",
    "flowledger.backoffice.apps.BackofficeAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_fsm",
    "anymail",
    "flowledger.tenancy.apps.TenancyConfig",
    "flowledger.outbox.apps.OutboxConfig",
    "flowledger.configuration.apps.ConfigurationConfig",
    "flowledger.api.apps.ApiConfig",
    "flowledger.clients.apps.ClientsConfig",
    "workstream.apps.WorkstreamConfig",
    "spotlight.apps.SpotlightConfig",
    "memory.apps.MemoryConfig",
]

if not PRODUCTION and importlib.util.find_spec("django_migration_linter"):
    INSTALLED_APPS.append("django_migration_linter")
    MIGRATION_LINTER_OPTIONS = {
        "no_cache": True,
        # These change tables that the migration just before them made, so there is nobody to lock out.
        "ignore_name": ["0002_search", "0002_partitions", "0005_today_search"],
    }

MIDDLEWARE = [
    "flowledger.api.middleware.RequestIdMiddleware",
    "flowledger.api.middleware.ErrorShapeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "flowledger.backoffice.middleware.OrganizationMiddleware",
]

ROOT_URLCONF = "flowledger.urls"
WSGI_APPLICATION = "flowledger.wsgi.application"
APPEND_SLASH = False
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# --- database ----------------------------------------------------------------------------------------------------

if not PRODUCTION:
    # Servers of this checkout that `make run` started in another terminal; nothing when the environment names its own.
    os.environ.update(embedded.environment())
_database_url = env.str("DATABASE_URL", "")
DATABASES: dict[str, dict[str, Any]] = {
    # Without a database Django can still build documents and run checks; the first query fails with the host's name.
    "default": env.db_url_config(_database_url)
    if _database_url
    else {"ENGINE": "", "NAME": "flowledger", "HOST": "set-DATABASE_URL-or-start-make-run"},
}
DATABASES["default"]["ENGINE"] = "django.db.backends.postgresql"
DATABASES["default"]["CONN_MAX_AGE"] = env.int("DATABASE_CONN_MAX_AGE", 600)
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
# PgBouncer in transaction mode hands out another session per transaction.
DATABASES["default"]["DISABLE_SERVER_SIDE_CURSORS"] = True
DATABASES["default"]["OPTIONS"] = {"connect_timeout": 5, **DATABASES["default"].get("OPTIONS", {})}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# The roles that row-level security policies name; created by the first migration when absent.
TENANT_DB_ROLE = env.str("TENANT_DB_ROLE", "flowledger_tenant")
SYSTEM_DB_ROLE = env.str("SYSTEM_DB_ROLE", "flowledger_system")
# The owner of the search functions (tenancy/search.py); may read searched tables, and nobody inherits it.
SEARCH_DB_ROLE = env.str("SEARCH_DB_ROLE", "flowledger_search")

# --- redis: broker, throttles, wake-ups --------------------------------------------------------------------------

REDIS_URL = env.str("REDIS_URL", "redis://127.0.0.1:6379/0")
# Throttles and wake-ups, apart from the broker's keys.
CACHE_URL = env.str("CACHE_URL", "") or urlsplit(REDIS_URL)._replace(path="/1").geturl()
CELERY_BROKER_URL = REDIS_URL

# --- people ------------------------------------------------------------------------------------------------------

AUTH_USER_MODEL = "tenancy.User"
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"

# --- language, time, files ---------------------------------------------------------------------------------------

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True
STATIC_URL = "/static/"
STATIC_ROOT = Path(env.str("STATIC_ROOT", str(BASE_DIR / "staticfiles")))
STORAGES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage",
    },
}
WHITENOISE_USE_FINDERS = not PRODUCTION
if not PRODUCTION:
    # The finders serve what collectstatic would gather; its directory need not exist.
    warnings.filterwarnings("ignore", message="No directory at")

# --- mail --------------------------------------------------------------------------------------------------------

# The console in development; any anymail provider in production, its keys as ANYMAIL_<NAME> in the environment.
EMAIL_BACKEND = env.str("EMAIL_BACKEND", "django.core.mail.backends.console.EmailBackend")
if env.str("EMAIL_URL", ""):
    vars().update(env.email_url("EMAIL_URL"))
EMAIL_TIMEOUT = env.int("EMAIL_TIMEOUT", 20)
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", "FlowLedger <flowledger@localhost>")
SERVER_EMAIL = DEFAULT_FROM_EMAIL
ANYMAIL = {key.removeprefix("ANYMAIL_"): value for key, value in env.ENVIRON.items() if key.startswith("ANYMAIL_")}

# --- outbox ------------------------------------------------------------------------------------------------------

OUTBOX_WAKE = env.bool("OUTBOX_WAKE", True)
OUTBOX_BATCH_SIZE = env.int("OUTBOX_BATCH_SIZE", 400)
OUTBOX_MAX_ATTEMPTS = env.int("OUTBOX_MAX_ATTEMPTS", 8)
OUTBOX_CRASH_LIMIT = env.int("OUTBOX_CRASH_LIMIT", 5)
OUTBOX_SOFT_SECONDS = env.float("OUTBOX_SOFT_SECONDS", 60.0)
OUTBOX_HARD_SECONDS = env.float("OUTBOX_HARD_SECONDS", 120.0)
OUTBOX_DRAIN_SECONDS = env.float("OUTBOX_DRAIN_SECONDS", 20.0)
OUTBOX_LEASE_SECONDS = env.int("OUTBOX_LEASE_SECONDS", 300)
OUTBOX_RENEW_SECONDS = env.int("OUTBOX_RENEW_SECONDS", 60)
OUTBOX_TICK_SECONDS = env.float("OUTBOX_TICK_SECONDS", 1.0)
OUTBOX_MAX_PAYLOAD_BYTES = env.int("OUTBOX_MAX_PAYLOAD_BYTES", 65_536)
if not 0 < OUTBOX_SOFT_SECONDS < OUTBOX_HARD_SECONDS:
    raise ImproperlyConfigured("OUTBOX_SOFT_SECONDS must be more than 0 and less than OUTBOX_HARD_SECONDS.")
if not 0 < OUTBOX_RENEW_SECONDS < OUTBOX_LEASE_SECONDS:
    raise ImproperlyConfigured("OUTBOX_RENEW_SECONDS must be more than 0 and less than OUTBOX_LEASE_SECONDS.")
if OUTBOX_BATCH_SIZE < 1 or OUTBOX_MAX_ATTEMPTS < 1 or OUTBOX_CRASH_LIMIT < 1:
    raise ImproperlyConfigured("OUTBOX_BATCH_SIZE, OUTBOX_MAX_ATTEMPTS and OUTBOX_CRASH_LIMIT are numbers from 1 on.")
OUTBOX_PARTITIONS_AHEAD = env.int("OUTBOX_PARTITIONS_AHEAD", 3)
# 0: history is complete. Else months older than so many are archived, then dropped (docs/recipes/retention.md).
OUTBOX_RETENTION_MONTHS = env.int("OUTBOX_RETENTION_MONTHS", 0)
# Without a default: what is dropped must not lie in a directory that the next release forgets.
OUTBOX_ARCHIVE_DIR = env.str("OUTBOX_ARCHIVE_DIR", "")
if OUTBOX_RETENTION_MONTHS < 0 or OUTBOX_PARTITIONS_AHEAD < 0:
    raise ImproperlyConfigured("OUTBOX_RETENTION_MONTHS and OUTBOX_PARTITIONS_AHEAD are numbers of months from 0 on.")
if OUTBOX_RETENTION_MONTHS and not OUTBOX_ARCHIVE_DIR:
    raise ImproperlyConfigured("OUTBOX_RETENTION_MONTHS needs OUTBOX_ARCHIVE_DIR: nothing is dropped unarchived.")
if OUTBOX_ARCHIVE_DIR:
    STORAGES["archive"] = {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {
            "location": BASE_DIR / OUTBOX_ARCHIVE_DIR,
            # Every organisation's events: for the application's own account only.
            "file_permissions_mode": 0o600,
            "directory_permissions_mode": 0o700,
        },
    }

# --- guard -------------------------------------------------------------------------------------------------------

SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
# Request bodies beyond it answer 413.
DATA_UPLOAD_MAX_MEMORY_SIZE = env.int("MAX_BODY_BYTES", 2_621_440)
# CSV files.
MAX_IMPORT_BYTES = env.int("MAX_IMPORT_BYTES", 104_857_600)
MAX_IMPORT_ROWS = env.int("MAX_IMPORT_ROWS", 250_000)
# One call of /api/signals/bulk, whose body is read from a file.
MAX_BULK_ROWS = env.int("MAX_BULK_ROWS", 10_000)
MAX_BULK_BYTES = env.int("MAX_BULK_BYTES", 67_108_864)
# Of a longer message in a mailbox the beginning is read; one that is posted is refused.
MAX_MAIL_BYTES = env.int("MAX_MAIL_BYTES", 26_214_400)
IMAP_TIMEOUT_SECONDS = env.int("IMAP_TIMEOUT_SECONDS", 30)
if PRODUCTION:
    SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", True)
    SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^metrics$"]
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env.bool("BEHIND_TLS_PROXY", True) else None
    SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", 31_536_000)
    SECURE_HSTS_INCLUDE_SUBDOMAINS = env.bool("SECURE_HSTS_INCLUDE_SUBDOMAINS", True)
    SECURE_HSTS_PRELOAD = env.bool("SECURE_HSTS_PRELOAD", True)
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True

# Networks that hosts of organisations (mailboxes) may lie in besides the public Internet: 10.0.5.0/24,fd00::/8
OUTGOING_ALLOWED_NETWORKS = env.list("OUTGOING_ALLOWED_NETWORKS", default=[])
for network in OUTGOING_ALLOWED_NETWORKS:
    try:
        ip_network(network, strict=False)
    except ValueError:
        raise ImproperlyConfigured(f"OUTGOING_ALLOWED_NETWORKS: '{network}' is no network.") from None

# --- API -----------------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "flowledger.api.authentication.BearerAuthentication",
        "flowledger.api.authentication.ApiKeyAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["flowledger.api.permissions.RoleAndScope"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["flowledger.api.parsers.StrictJSONParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "flowledger.api.negotiation.JSONByDefault",
    "DEFAULT_PAGINATION_CLASS": "flowledger.api.pagination.OrgPagination",
    "DEFAULT_SCHEMA_CLASS": "flowledger.api.schema.KernelSchema",
    "DEFAULT_METADATA_CLASS": None,
    "DEFAULT_FILTER_BACKENDS": [],
    "DEFAULT_THROTTLE_CLASSES": [],  # the kernel throttles by itself, in one Redis round trip
    "EXCEPTION_HANDLER": "flowledger.api.errors.exception_handler",
    "COERCE_DECIMAL_TO_STRING": False,  # money is a string by its own field
    "URL_FORMAT_OVERRIDE": None,
    "UNAUTHENTICATED_USER": None,
    "UNAUTHENTICATED_TOKEN": None,
    "NUM_PROXIES": env.int("TRUSTED_PROXIES", default=0),
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=15),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=env.int("REFRESH_TOKEN_DAYS", default=14)),
    "ALGORITHM": "HS256",
    "SIGNING_KEY": env("JWT_SIGNING_KEY", default=SECRET_KEY),
    "ISSUER": "flowledger",
    "AUTH_HEADER_TYPES": ("Bearer",),
}
# Requests a minute. Zero switches that throttle off (tests: all 0 except in the throttle tests).
API_THROTTLES = {
    "user": env.int("THROTTLE_USER_PER_MINUTE", default=1200),
    "key": env.int("THROTTLE_KEY_PER_MINUTE", default=1200),
    "address": env.int("THROTTLE_ADDRESS_PER_MINUTE", default=6000),
    "login": env.int("THROTTLE_LOGIN_PER_MINUTE", default=10),
    # What one web form, webhook or mail hook takes, from everywhere together.
    "source": env.int("THROTTLE_SOURCE_PER_MINUTE", default=600),
}
IDEMPOTENCY_KEEP_HOURS = 24
IDEMPOTENCY_WAIT_SECONDS = 10  # how long a concurrent duplicate waits before 409

SPECTACULAR_SETTINGS = {
    "TITLE": "FlowLedger",
    "DESCRIPTION": "Signals, candidates, pursuits and engagements of one organisation.",
    "VERSION": "1.0.0",
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": r"/api",
    "COMPONENT_SPLIT_REQUEST": True,
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "DEFAULT_QUERY_MANAGER": "_default_manager",
    "PATH_CONVERTER_OVERRIDES": {"id": {"type": "integer", "format": "int64", "minimum": 1}},
    "PREPROCESSING_HOOKS": ["flowledger.api.schema.only_api_paths"],
    # Without the hook that names enums: choices stay where they are used, and equal ones cannot collide.
    "POSTPROCESSING_HOOKS": ["flowledger.api.schema.add_error_components"],
}

# --- memory ------------------------------------------------------------------------------------------------------

# A language model that speaks OpenAI's chat completions, such as `https://llm.example.com/v1`; empty: none is asked.
MEMORY_LLM_URL = env.str("MEMORY_LLM_URL", "")
MEMORY_LLM_KEY = env.str("MEMORY_LLM_KEY", "")
MEMORY_LLM_MODEL = env.str("MEMORY_LLM_MODEL", "")
if MEMORY_LLM_URL and urlsplit(MEMORY_LLM_URL).scheme not in {"http", "https"}:
    raise ImproperlyConfigured("MEMORY_LLM_URL is no address; give one such as https://llm.example.com/v1.")

# Search by meaning, off unless one of these is set: an endpoint that speaks the embeddings API of OpenAI, with the
# model's name and a key where it wants one; or the directory of a local sentence model, whose weights may have to have
# a hash.
MEMORY_EMBEDDINGS_URL = env.str("MEMORY_EMBEDDINGS_URL", "")
MEMORY_EMBEDDINGS_KEY = env.str("MEMORY_EMBEDDINGS_KEY", "")
MEMORY_EMBEDDINGS_MODEL = env.str("MEMORY_EMBEDDINGS_MODEL", "")
MEMORY_EMBEDDINGS_PATH = env.str("MEMORY_EMBEDDINGS_PATH", "")
MEMORY_EMBEDDINGS_SHA256 = env.str("MEMORY_EMBEDDINGS_SHA256", "")

# How many days backups are kept: by then the last one is gone that held what was redacted.
MEMORY_BACKUP_DAYS = env.int("MEMORY_BACKUP_DAYS", 35)
# Larger tables are not rewritten by the nightly task, which locks them; see `manage.py memory rewrite`.
MEMORY_REWRITE_MOST_BYTES = env.int("MEMORY_REWRITE_MOST_BYTES", 1_073_741_824)
if MEMORY_BACKUP_DAYS < 0 or MEMORY_REWRITE_MOST_BYTES < 0:
    raise ImproperlyConfigured("MEMORY_BACKUP_DAYS and MEMORY_REWRITE_MOST_BYTES are numbers from 0 on.")

# --- metrics -----------------------------------------------------------------------------------------------------

# Lets a scraper on another machine read /metrics; without it only this machine's own may.
METRICS_TOKEN = env.str("METRICS_TOKEN", "")
if METRICS_TOKEN and len(METRICS_TOKEN) < 16:
    raise ImproperlyConfigured("METRICS_TOKEN is too short to guard anything; use at least 16 random characters.")

# --- logging -----------------------------------------------------------------------------------------------------

LOGGING = logs.configuration(level=env.str("LOG_LEVEL", "INFO"), as_json=env.bool("LOG_JSON", PRODUCTION))
