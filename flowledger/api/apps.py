"""Application configuration of the API kernel."""

from __future__ import annotations

from django.apps import AppConfig


class ApiConfig(AppConfig):
    """The kernel registers its path converter and its schema extensions when the applications are ready."""

    name = "flowledger.api"
    label = "api"
    verbose_name = "API"

    def ready(self) -> None:
        from flowledger.api import converters, schema  # noqa: F401  (registered by being imported)
