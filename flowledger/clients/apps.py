"""The clients application."""

from django.apps import AppConfig


class ClientsConfig(AppConfig):
    name = "flowledger.clients"
    label = "clients"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from flowledger.clients import permissions  # noqa: F401  (registers the verbs)
