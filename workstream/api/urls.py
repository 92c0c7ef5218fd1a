"""Addresses of the pipeline, below `/api/`."""

from __future__ import annotations

from django.urls import include, path

from flowledger.api.routers import OrgRouter
from workstream.api.views.board import CandidateBoardViewSet, PursuitBoardViewSet
from workstream.api.views.calendars import CalendarViewSet
from workstream.api.views.candidates import CandidateViewSet
from workstream.api.views.imports import ImportViewSet
from workstream.api.views.ingest_health import IngestHealthView
from workstream.api.views.intake_doors import FormDoorView, WebhookDoorView
from workstream.api.views.mail_door import MailDoorView
from workstream.api.views.notes import ClientNotesViewSet, ContactNotesViewSet
from workstream.api.views.notifications import NotificationPreferencesView, NotificationViewSet
from workstream.api.views.proposals import ProposalViewSet
from workstream.api.views.pursuits import PursuitViewSet
from workstream.api.views.rejects import RejectViewSet
from workstream.api.views.reports import (
    ChecklistReadyViewSet,
    FunnelView,
    IdentityStatusView,
    OutboxHealthView,
    OutcomesView,
    SlaComplianceView,
    VelocityView,
    WorkloadView,
)
from workstream.api.views.setup import (
    ChecklistTemplateViewSet,
    ProblemViewSet,
    ProposalTemplateViewSet,
    SolutionViewSet,
    TagViewSet,
)
from workstream.api.views.signals import SignalViewSet
from workstream.api.views.signals_bulk import SignalsBulkView
from workstream.api.views.sla import SlaBreachViewSet, SlaRuleViewSet
from workstream.api.views.sla_explain import SlaExplainView
from workstream.api.views.sources import SourceViewSet
from workstream.api.views.today import TodayViewSet
from workstream.api.views.work import EngagementViewSet, TaskViewSet
from workstream.api.views.workstream import StatsView, WorkEventViewSet

router = OrgRouter()
router.register("signals/import", ImportViewSet, basename="import")
router.register("signals", SignalViewSet, basename="signal")
router.register("candidates", CandidateViewSet, basename="candidate")
router.register("pursuits", PursuitViewSet, basename="pursuit")
router.register("proposals", ProposalViewSet, basename="proposal")
router.register("tasks", TaskViewSet, basename="task")
router.register("engagements", EngagementViewSet, basename="engagement")
router.register("problems", ProblemViewSet, basename="problem")
router.register("solutions", SolutionViewSet, basename="solution")
router.register("tags", TagViewSet, basename="tag")
router.register("checklist-templates", ChecklistTemplateViewSet, basename="checklist-template")
router.register("proposal-templates", ProposalTemplateViewSet, basename="proposal-template")
router.register("notifications", NotificationViewSet, basename="notification")
router.register("intake/rejects", RejectViewSet, basename="intake-reject")
router.register("sla/calendars", CalendarViewSet, basename="sla-calendar")
router.register("sla/rules", SlaRuleViewSet, basename="sla-rule")
router.register("sla/breaches", SlaBreachViewSet, basename="sla-breach")
router.register("intake/sources", SourceViewSet, basename="intake-source")

reading = {"get": "list"}
notes = {"get": "list", "post": "create"}

urlpatterns = [
    path("", include(router.urls)),
    path("intake/health", IngestHealthView.as_view(), name="intake-health"),
    path("signals/bulk", SignalsBulkView.as_view(), name="signals-bulk"),
    path("clients/<id:pk>/notes", ClientNotesViewSet.as_view(notes), name="client-notes"),
    path("contacts/<id:pk>/notes", ContactNotesViewSet.as_view(notes), name="contact-notes"),
    path("sla/explain", SlaExplainView.as_view(), name="sla-explain"),
    path("in/forms/<str:token>", FormDoorView.as_view(), name="intake-form"),
    path("in/webhooks/<str:token>", WebhookDoorView.as_view(), name="intake-webhook"),
    path("in/mail/<str:token>", MailDoorView.as_view(), name="intake-mail"),
    path("notifications/preferences", NotificationPreferencesView.as_view(), name="notification-preferences"),
    path("workstream/stats", StatsView.as_view(), name="workstream-stats"),
    path("workstream/board/candidates", CandidateBoardViewSet.as_view(reading), name="board-candidates"),
    path("workstream/board/pursuits", PursuitBoardViewSet.as_view(reading), name="board-pursuits"),
    path("workstream/today", TodayViewSet.as_view(reading), name="today"),
    path("workstream/today/snooze", TodayViewSet.as_view({"post": "snooze"}), name="today-snooze"),
    path("workstream/funnel", FunnelView.as_view(), name="report-funnel"),
    path("workstream/velocity", VelocityView.as_view(), name="report-velocity"),
    path("workstream/sla-compliance", SlaComplianceView.as_view(), name="report-sla-compliance"),
    path("workstream/workload", WorkloadView.as_view(), name="report-workload"),
    path("workstream/identity-status", IdentityStatusView.as_view(), name="report-identity-status"),
    path("workstream/outbox-health", OutboxHealthView.as_view(), name="report-outbox-health"),
    path("workstream/outcomes", OutcomesView.as_view(), name="report-outcomes"),
    path("workstream/checklist-ready", ChecklistReadyViewSet.as_view(reading), name="report-checklist-ready"),
    path("workstream/events", WorkEventViewSet.as_view(reading), name="workstream-events"),
    # The same lists under the module's own path.
    path("workstream/signals", SignalViewSet.as_view(reading), name="workstream-signals"),
    path("workstream/candidates", CandidateViewSet.as_view(reading), name="workstream-candidates"),
    path("workstream/pursuits", PursuitViewSet.as_view(reading), name="workstream-pursuits"),
]
