"""FlowLedger: configuration, and the kernel that every app stands on."""

# Tasks bind to the application of the process, so every process has it: web, worker, beat and command line.
from flowledger.celery import app as celery_app

__all__ = ["celery_app"]
