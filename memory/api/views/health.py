"""`/api/memory/health`: whether memory keeps up, as JSON or as a CSV file."""

from __future__ import annotations

from django.http.response import HttpResponseBase
from django.utils.timezone import now
from rest_framework.request import Request

from memory.api.serializers.health import MemoryHealthSerializer
from memory.reports import memory_health
from workstream.api.views.reports import ReportView, describe
from workstream.reports import Report


class MemoryHealthView(ReportView):
    """What memory holds, what waits in it, and for how long."""

    scope = "memory"
    file_name = "memory-health"
    row_serializer = MemoryHealthSerializer

    def report(self) -> Report:
        return memory_health(org=self.org, at=now())

    @describe("MemoryHealthReport", MemoryHealthSerializer)
    def get(self, request: Request) -> HttpResponseBase:
        """The figures of memory, beside their targets in `health`."""
        return self.answer()
