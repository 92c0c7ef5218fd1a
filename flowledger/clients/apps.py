"""The clients application."""

from django.apps import AppConfig


class ClientsConfig(AppConfig):
    name = "flowledger.clients"
    label = "clients"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from flowledger.clients import permissions  # noqa: F401  (registers the verbs)
        from flowledger.clients.erasure import register_copies, register_eraser, register_source
        from flowledger.clients.services.copies import CopiesEraser, forget_copies
        from flowledger.clients.services.people import ERASER, redact_contacts

        register_eraser("clients", ERASER)
        register_eraser("copies", CopiesEraser())
        register_source("contact", "clients", redact_contacts)
        register_copies("clients", forget_copies)
