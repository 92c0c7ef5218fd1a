"""Addresses of the pipeline, below `/api/`."""

from __future__ import annotations

from django.urls import include, path

from flowledger.api.routers import OrgRouter
from workstream.api.views.candidates import CandidateViewSet
from workstream.api.views.notes import ClientNotesViewSet, ContactNotesViewSet
from workstream.api.views.proposals import ProposalViewSet
from workstream.api.views.pursuits import PursuitViewSet
from workstream.api.views.setup import (
    ChecklistTemplateViewSet,
    ProblemViewSet,
    ProposalTemplateViewSet,
    SolutionViewSet,
    TagViewSet,
)
from workstream.api.views.signals import SignalViewSet
from workstream.api.views.work import EngagementViewSet, TaskViewSet
from workstream.api.views.workstream import StatsView, WorkEventViewSet

router = OrgRouter()
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

reading = {"get": "list"}
notes = {"get": "list", "post": "create"}

urlpatterns = [
    path("", include(router.urls)),
    path("clients/<id:pk>/notes", ClientNotesViewSet.as_view(notes), name="client-notes"),
    path("contacts/<id:pk>/notes", ContactNotesViewSet.as_view(notes), name="contact-notes"),
    path("workstream/stats", StatsView.as_view(), name="workstream-stats"),
    path("workstream/events", WorkEventViewSet.as_view(reading), name="workstream-events"),
    # The same lists under the module's own path.
    path("workstream/signals", SignalViewSet.as_view(reading), name="workstream-signals"),
    path("workstream/candidates", CandidateViewSet.as_view(reading), name="workstream-candidates"),
    path("workstream/pursuits", PursuitViewSet.as_view(reading), name="workstream-pursuits"),
]
