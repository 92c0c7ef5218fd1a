"""Use cases of clients and contacts, and the recognition of who a signal is from."""

from flowledger.clients.services.bulk_clients import ClientRow, write_clients
from flowledger.clients.services.bulk_contacts import ContactRow, write_contacts
from flowledger.clients.services.clients import CLIENT_FIELDS, create_client, delete_client, update_client
from flowledger.clients.services.conflicts import RESOLUTIONS, Resolved, Sides, resolve_conflict
from flowledger.clients.services.contacts import CONTACT_FIELDS, create_contact, delete_contact, update_contact
from flowledger.clients.services.duplicates import suggest_duplicates
from flowledger.clients.services.merge_fields import MERGE_FIELDS, FieldPair
from flowledger.clients.services.merge_undo import KeptChange, UndoReport, undo_merge
from flowledger.clients.services.merging import (
    MergePreview,
    Moves,
    merge_clients,
    merge_contacts,
    move_stragglers,
    preview_merge,
)
from flowledger.clients.services.onboarding import (
    cancel_onboarding_task,
    complete_onboarding_task,
    create_onboarding_task,
    reopen_onboarding_task,
    update_onboarding_task,
)
from flowledger.clients.services.resolution import Asked, ResolvedIdentity, resolve_identities, resolve_identity

__all__ = [
    "CLIENT_FIELDS",
    "CONTACT_FIELDS",
    "MERGE_FIELDS",
    "RESOLUTIONS",
    "Asked",
    "ClientRow",
    "ContactRow",
    "FieldPair",
    "KeptChange",
    "MergePreview",
    "Moves",
    "Resolved",
    "ResolvedIdentity",
    "Sides",
    "UndoReport",
    "cancel_onboarding_task",
    "complete_onboarding_task",
    "create_client",
    "create_contact",
    "create_onboarding_task",
    "delete_client",
    "delete_contact",
    "merge_clients",
    "merge_contacts",
    "move_stragglers",
    "preview_merge",
    "reopen_onboarding_task",
    "resolve_conflict",
    "resolve_identities",
    "resolve_identity",
    "suggest_duplicates",
    "undo_merge",
    "update_client",
    "update_contact",
    "update_onboarding_task",
    "write_clients",
    "write_contacts",
]
