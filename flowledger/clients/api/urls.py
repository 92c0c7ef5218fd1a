"""Addresses of clients and contacts, below `/api/`."""

from __future__ import annotations

from flowledger.api.routers import OrgRouter
from flowledger.clients.api.merges import ClientMergeViewSet, ConflictViewSet, ContactMergeViewSet
from flowledger.clients.api.views import ClientViewSet, ContactViewSet

router = OrgRouter()
router.register("clients/merges", ClientMergeViewSet, basename="client-merge")
router.register("contacts/merges", ContactMergeViewSet, basename="contact-merge")
router.register("identity/conflicts", ConflictViewSet, basename="identity-conflict")
router.register("clients", ClientViewSet, basename="client")
router.register("contacts", ContactViewSet, basename="contact")

urlpatterns = router.urls
