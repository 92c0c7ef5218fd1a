"""The workstream application."""

from importlib import import_module

from django.apps import AppConfig


class WorkstreamConfig(AppConfig):
    name = "workstream"
    default_auto_field = "django.db.models.BigAutoField"

    def import_models(self) -> None:
        """The views of the reports are models, too; they stand above the models that they are made of."""
        super().import_models()
        import_module("workstream.reports.views")

    def ready(self) -> None:
        from flowledger.clients.erasure import register_copies, register_eraser, register_source
        from flowledger.tenancy.checks import allow_cross_tenant_index
        from workstream import metrics, permissions  # noqa: F401  (declare the metrics, register the verbs)
        from workstream.services.erasing import PanelEraser, PipelineEraser
        from workstream.services.redaction import SOURCE_TYPES, forget_quotations, redactor_of

        register_eraser("pipeline", PipelineEraser())
        register_eraser("panel", PanelEraser())
        for source_type in SOURCE_TYPES:
            register_source(source_type, "workstream", redactor_of(source_type))
        register_copies("workstream", forget_quotations)

        allow_cross_tenant_index(
            "candidate_resume_due",
            "sla_clock_due",
            "sla_clock_warn",
            "today_item_snooze_ends",
            "notification_email_due",
            "intake_source_to_poll",
            "import_run_to_do",
        )
