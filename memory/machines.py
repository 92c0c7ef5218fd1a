"""The fixed state machines of memory."""

from __future__ import annotations

from django.db import models


class AtomState(models.TextChoices):
    """States of an atom. Active ones are on cards and in default search; a redacted one is a tombstone for ever."""

    ACTIVE = "active", "Active"
    SUPERSEDED = "superseded", "Superseded by a newer one"
    ARCHIVED = "archived", "Archived"
    REDACTED = "redacted", "Redacted"


class ConflictStatus(models.TextChoices):
    """Whether somebody has decided between two atoms that contradict each other."""

    OPEN = "open", "Open"
    RESOLVED = "resolved", "Resolved"


class JobStatus(models.TextChoices):
    """States of the work of a language model on one source."""

    WAITING = "waiting", "Waiting"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"
