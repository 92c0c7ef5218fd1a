"""The back office application, and Django's admin with our site as its default."""

from __future__ import annotations

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class BackofficeConfig(AppConfig):
    name = "flowledger.backoffice"
    label = "backoffice"
    verbose_name = "Back office"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from flowledger.backoffice import checks  # noqa: F401  (registers the system checks)


class BackofficeAdminConfig(AdminConfig):
    """Stands in for `django.contrib.admin`: the same application with `BackofficeSite` behind `admin.site`."""

    default_site = "flowledger.backoffice.site.BackofficeSite"
    default = False
