"""GET /metrics: what Prometheus scrapes, for this machine's own programs and for who has the token."""

from __future__ import annotations

import ipaddress

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from flowledger.outbox.exposition import metrics_text

# A proxy on this machine is a neighbour as well, but whoever stands behind it is not: any trace of one counts.
_FORWARDED = (
    "Forwarded",
    "Via",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Forwarded-Server",
    "X-Real-Ip",
)


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """The metrics of the whole installation, whichever process answers."""
    if not (_has_token(request) or _is_neighbour(request)):
        return HttpResponse(
            "Metrics are for programs on this machine, and for those that send METRICS_TOKEN as a bearer token.\n",
            status=401,
            content_type="text/plain; charset=utf-8",
            headers={"WWW-Authenticate": 'Bearer realm="metrics"'},
        )
    return HttpResponse(metrics_text(), content_type=CONTENT_TYPE_LATEST)


def _has_token(request: HttpRequest) -> bool:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    wanted: str = settings.METRICS_TOKEN
    return bool(wanted) and kind.lower() == "bearer" and constant_time_compare(token.strip(), wanted)


def _is_neighbour(request: HttpRequest) -> bool:
    if any(name in request.headers for name in _FORWARDED):
        return False
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        # A unix socket has no address; whoever is behind it has to send the token.
        return False
