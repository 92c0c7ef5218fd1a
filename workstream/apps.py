"""The workstream application."""

from django.apps import AppConfig


class WorkstreamConfig(AppConfig):
    name = "workstream"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from flowledger.tenancy.checks import allow_cross_tenant_index
        from workstream import permissions  # noqa: F401  (registers the verbs)

        allow_cross_tenant_index("candidate_resume_due")
