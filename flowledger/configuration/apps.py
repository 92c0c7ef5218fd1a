"""The configuration application."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class ConfigurationConfig(AppConfig):
    name = "flowledger.configuration"
    label = "configuration"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from flowledger.configuration import permissions  # noqa: F401  (registers the verbs)

        # Every app declares its keys in its room `rules`; the registry is complete as soon as Django is.
        autodiscover_modules("rules")
