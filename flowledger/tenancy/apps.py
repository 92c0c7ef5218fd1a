"""The tenancy application."""

from django.apps import AppConfig


class TenancyConfig(AppConfig):
    name = "flowledger.tenancy"
    label = "tenancy"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from flowledger.tenancy import checks  # noqa: F401  (registers the system checks)
