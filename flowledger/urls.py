"""Every address of the application: the API of each app, its documents, the back office, liveness."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import include, path, re_path
from django.views.defaults import bad_request, page_not_found, permission_denied, server_error
from django.views.generic import RedirectView

from flowledger.api.errors import is_api_path, not_found, plain_error
from flowledger.api.views import docs
from flowledger.api.views.health import liveness
from flowledger.api.views.metrics import metrics

api_patterns: list[Any] = [
    path("", include("flowledger.api.urls")),
    path("", include("flowledger.clients.api.urls")),
    path("", include("workstream.api.urls")),
    path("", include("spotlight.api.urls")),
    path("", include("memory.api.urls")),
    path("docs", docs.redoc, name="redoc"),
    re_path(r"^.*$", not_found),
]

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index"), name="home"),
    path("healthz", liveness, name="healthz"),
    path("metrics", metrics, name="metrics"),
    path("openapi.json", docs.openapi, name="openapi"),
    path("api-docs", docs.swagger, name="swagger"),
    path("api/", include(api_patterns)),
    path("forms/", include("workstream.api.form_pages")),
    path("admin/", admin.site.urls),
]


def handler400(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A malformed request, in the language of whoever asked."""
    return plain_error(400) if is_api_path(request.path) else bad_request(request, exception)


def handler403(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A request that is not allowed."""
    return plain_error(403) if is_api_path(request.path) else permission_denied(request, exception)


def handler404(request: HttpRequest, exception: Exception) -> HttpResponse:
    """An address that nothing answers."""
    return plain_error(404) if is_api_path(request.path) else page_not_found(request, exception)


def handler500(request: HttpRequest) -> HttpResponse:
    """A failure outside of the views, which answer theirs themselves."""
    return plain_error(500) if is_api_path(request.path) else server_error(request)
