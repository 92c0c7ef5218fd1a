"""Columns and constraints of clients, contacts, their identity keys, conflicts and merges."""

from flowledger.clients.models.directory import (
    DOMAIN_SHAPE,
    E164_SHAPE,
    EMAIL_SHAPE,
    Client,
    Contact,
    OnboardingStatus,
    OnboardingTask,
    SizeBand,
    is_object,
)
from flowledger.clients.models.identity import ConflictKind, ConflictStatus, IdentityConflict, IdentityKey, KeyStatus
from flowledger.clients.models.merges import MergedKind, MergedRow, MergeRecord

__all__ = [
    "DOMAIN_SHAPE",
    "E164_SHAPE",
    "EMAIL_SHAPE",
    "Client",
    "ConflictKind",
    "ConflictStatus",
    "Contact",
    "IdentityConflict",
    "IdentityKey",
    "KeyStatus",
    "MergeRecord",
    "MergedKind",
    "MergedRow",
    "OnboardingStatus",
    "OnboardingTask",
    "SizeBand",
    "is_object",
]
