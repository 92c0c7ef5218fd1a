"""The spotlight application."""

from importlib import import_module

from django.apps import AppConfig


class SpotlightConfig(AppConfig):
    name = "spotlight"
    default_auto_field = "django.db.models.BigAutoField"

    def import_models(self) -> None:
        """The views of the reports are models, too; they stand above the models that they are made of."""
        super().import_models()
        import_module("spotlight.reports.views")

    def ready(self) -> None:
        from flowledger.clients.erasure import register_eraser, register_source
        from flowledger.tenancy.checks import allow_cross_tenant_index
        from spotlight import demo, permissions  # noqa: F401  (registers the verbs)
        from spotlight.services.erasing import ERASER, redactor_of
        from workstream.demo.furnishing import furnish_with

        furnish_with(demo.furnish)

        register_eraser("spotlight", ERASER)
        for item_type in ("signal", "candidate"):
            register_source(item_type, "spotlight", redactor_of(item_type))
        allow_cross_tenant_index("score_override_due", "rescore_run_to_do")
