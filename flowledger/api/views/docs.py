"""The OpenAPI document and the two pages that show it; anonymous, assets from this server."""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal
from functools import cache
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.http import parse_etags
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.views import SpectacularRedocView, SpectacularSwaggerView


@cache
def openapi_text() -> bytes:
    """The document of the whole API as JSON; made once per process, since it depends on nothing but the code."""
    document = SchemaGenerator().get_schema(request=None, public=True)
    return json.dumps(document, ensure_ascii=False, default=_plain).encode()


def _plain(value: Any) -> Any:
    """Limits of decimals are numbers; what else is left are texts to be translated."""
    return float(value) if isinstance(value, Decimal) else str(value)


@cache
def _etag() -> str:
    return f'"{hashlib.sha256(openapi_text()).hexdigest()[:20]}"'


@require_safe
def openapi(request: HttpRequest) -> HttpResponse:
    """GET /openapi.json."""
    etag = _etag()
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    if etag in parse_etags(request.headers.get("If-None-Match", "")):
        return HttpResponse(status=304, headers=headers)
    return HttpResponse(openapi_text(), content_type="application/json", headers=headers)


swagger = SpectacularSwaggerView.as_view(url_name="openapi")
redoc = SpectacularRedocView.as_view(url_name="openapi")
