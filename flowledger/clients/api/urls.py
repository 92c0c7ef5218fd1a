"""Addresses of clients and contacts, below `/api/`."""

from __future__ import annotations

from flowledger.api.routers import OrgRouter
from flowledger.clients.api.views import ClientViewSet, ContactViewSet

router = OrgRouter()
router.register("clients", ClientViewSet, basename="client")
router.register("contacts", ContactViewSet, basename="contact")

urlpatterns = router.urls
