"""Addresses of memory, below `/api/`."""

from __future__ import annotations

from typing import Any

from django.urls import path

from flowledger.api.routers import OrgRouter
from memory.api.views.atoms import AtomViewSet
from memory.api.views.card import CardView
from memory.api.views.conflicts import AtomConflictViewSet
from memory.api.views.erasures import ErasureViewSet, PersonExportView
from memory.api.views.health import MemoryHealthView
from memory.api.views.holds import LegalHoldViewSet
from memory.api.views.patterns import OutcomePatternsView
from memory.api.views.redactions import RedactionViewSet
from memory.api.views.search import MemorySearchView
from memory.api.views.similar import SimilarDealsView

router = OrgRouter()
router.register("memory/atoms", AtomViewSet, basename="atom")
router.register("memory/conflicts", AtomConflictViewSet, basename="atom-conflict")
router.register("memory/redactions", RedactionViewSet, basename="redaction")
router.register("memory/erasures", ErasureViewSet, basename="erasure")
router.register("memory/holds", LegalHoldViewSet, basename="legal-hold")

urlpatterns: list[Any] = [
    path("memory/card", CardView.as_view(), name="memory-card"),
    path("memory/export", PersonExportView.as_view(), name="memory-export"),
    path("memory/health", MemoryHealthView.as_view(), name="memory-health"),
    path("memory/search", MemorySearchView.as_view(), name="memory-search"),
    path("memory/similar", SimilarDealsView.as_view(), name="memory-similar"),
    path("memory/patterns", OutcomePatternsView.as_view(), name="memory-patterns"),
    *router.urls,
]
