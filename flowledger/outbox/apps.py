"""The outbox application."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class OutboxConfig(AppConfig):
    name = "flowledger.outbox"
    label = "outbox"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from flowledger.outbox import checks  # noqa: F401  (registers the system checks)

        # The catalogue and the registry are complete as soon as Django is.
        autodiscover_modules("events")
        autodiscover_modules("handlers")
