"""Figures about memory itself."""

from memory.reports.health import memory_health
from memory.reports.views import MemoryHealth

__all__ = ["MemoryHealth", "memory_health"]
