"""The page that shows a credential once, right after it was made."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.cache import add_never_cache_headers

from flowledger.backoffice.org_admin import OrgAdmin


def show_once(
    page: OrgAdmin, request: HttpRequest, row: Any, *, title: str, label: str, warning: str, text: str
) -> TemplateResponse:
    """Answer with `text`, kept by no cache, and lead back to the page of the row that it belongs to."""
    context = {
        **page.admin_site.each_context(request),
        "title": title,
        "subtitle": row.name,
        "opts": page.opts,
        "label": label,
        "warning": warning,
        "text": text,
        "back": page.link_to(row.pk),
    }
    response = TemplateResponse(request, "backoffice/credential_shown.html", context)
    add_never_cache_headers(response)
    return response
