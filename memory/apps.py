"""The memory application."""

from django.apps import AppConfig


class MemoryConfig(AppConfig):
    name = "memory"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from flowledger.tenancy.checks import allow_cross_tenant_index
        from memory import demo, permissions  # noqa: F401  (registers the verbs)
        from workstream.demo.furnishing import furnish_with, tell_with

        furnish_with(demo.furnish)
        tell_with(demo.tell)

        allow_cross_tenant_index("atom_due", "card_mark_due", "extraction_job_due")
