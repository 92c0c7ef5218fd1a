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
        from flowledger.tenancy.checks import allow_cross_tenant_index
        from workstream import metrics, permissions  # noqa: F401  (declare the metrics, register the verbs)

        allow_cross_tenant_index(
            "candidate_resume_due",
            "sla_clock_due",
            "sla_clock_warn",
            "today_item_snooze_ends",
            "notification_email_due",
            "intake_source_to_poll",
            "import_run_to_do",
        )
