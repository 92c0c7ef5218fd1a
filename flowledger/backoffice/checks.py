"""System checks of the back office: no tenant model behind a page that does not scope it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.apps import AppConfig
from django.contrib import admin
from django.core.checks import CheckMessage, Error, register

from flowledger.backoffice.org_admin import OrgAdmin
from flowledger.tenancy.checks import has_org


@register()
def tenant_pages_are_scoped(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Iterable[CheckMessage]:
    """backoffice.E001: a tenant model is registered with an admin class that would show every organisation's rows."""
    return [
        Error(
            f"{model._meta.label} is registered with {type(page).__name__}, which is no OrgAdmin.",
            hint="Inherit from flowledger.backoffice.org_admin.OrgAdmin.",
            id="backoffice.E001",
            obj=model,
        )
        for model, page in admin.site._registry.items()
        if has_org(model) and not isinstance(page, OrgAdmin)
    ]
