"""Routes of the kernel's own endpoints, under /api/."""

from __future__ import annotations

from django.urls import include, path

from flowledger.api.routers import OrgRouter
from flowledger.api.views.api_keys import ApiKeyViewSet
from flowledger.api.views.auth import LogoutView, RefreshView, TokenView
from flowledger.api.views.configuration import (
    ConfigHistoryViewSet,
    ConfigResetView,
    ConfigRollbackView,
    ConfigSchemaView,
    ConfigView,
)
from flowledger.api.views.health import HealthView
from flowledger.api.views.me import MeView
from flowledger.api.views.outbox import CatalogueView, DeadLetterViewSet

router = OrgRouter()
router.register("api-keys", ApiKeyViewSet, basename="api-key")
router.register("outbox/dead-letters", DeadLetterViewSet, basename="dead-letter")

urlpatterns = [
    path("auth/token", TokenView.as_view(), name="auth-token"),
    path("auth/refresh", RefreshView.as_view(), name="auth-refresh"),
    path("auth/logout", LogoutView.as_view(), name="auth-logout"),
    path("me", MeView.as_view(), name="me"),
    path("health", HealthView.as_view(), name="health"),
    path("outbox/catalogue", CatalogueView.as_view(), name="outbox-catalogue"),
    path("workstream/config", ConfigView.as_view(), name="config"),
    path("workstream/config/history", ConfigHistoryViewSet.as_view({"get": "list"}), name="config-history"),
    path("workstream/config/reset", ConfigResetView.as_view(), name="config-reset"),
    path("workstream/config/rollback", ConfigRollbackView.as_view(), name="config-rollback"),
    path("workstream/config/schema", ConfigSchemaView.as_view(), name="config-schema"),
    path("", include(router.urls)),
]
