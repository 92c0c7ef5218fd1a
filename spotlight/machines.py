"""The fixed state machines of spotlight."""

from __future__ import annotations

from django.db import models


class RescoreStatus(models.TextChoices):
    """States of a re-score of many items."""

    RUNNING = "running", "Running"
    DONE = "done", "Done"
    SUPERSEDED = "superseded", "Superseded by a newer one"
    CANCELLED = "cancelled", "Cancelled"


class ReviewStatus(models.TextChoices):
    """States of a routed signal: what the queue of manual review still has to look at, and what became of the rest."""

    SETTLED = "settled", "Settled by its rule"
    WAITING = "waiting", "Waiting for review"
    ACCEPTED = "accepted", "Accepted"
    DISMISSED = "dismissed", "Dismissed"


class ProposalStatus(models.TextChoices):
    """States of weights that were learned from outcomes."""

    PROPOSED = "proposed", "Proposed"
    ACCEPTED = "accepted", "Accepted"
    REJECTED = "rejected", "Rejected"
    SUPERSEDED = "superseded", "Superseded"
    REVERTED = "reverted", "Reverted"
