"""Django's settings of the peers: one database, connections that stay open."""

from __future__ import annotations

import os
from urllib.parse import parse_qs, urlsplit

_url = urlsplit(os.environ["BENCH_DATABASE_URL"])

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _url.path.lstrip("/"),
        "USER": _url.username,
        "HOST": parse_qs(_url.query)["host"][0],
        "CONN_MAX_AGE": None,
    }
}
INSTALLED_APPS: list[str] = []
SECRET_KEY = "for-the-benchmark-only"
USE_TZ = True
