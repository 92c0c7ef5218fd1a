"""Use cases of clients and contacts, and the recognition of who a signal is from."""

from flowledger.clients.services.clients import CLIENT_FIELDS, create_client, delete_client, update_client
from flowledger.clients.services.contacts import CONTACT_FIELDS, create_contact, delete_contact, update_contact
from flowledger.clients.services.onboarding import (
    cancel_onboarding_task,
    complete_onboarding_task,
    create_onboarding_task,
    reopen_onboarding_task,
    update_onboarding_task,
)
from flowledger.clients.services.resolution import ResolvedIdentity, resolve_identity

__all__ = [
    "CLIENT_FIELDS",
    "CONTACT_FIELDS",
    "ResolvedIdentity",
    "cancel_onboarding_task",
    "complete_onboarding_task",
    "create_client",
    "create_contact",
    "create_onboarding_task",
    "delete_client",
    "delete_contact",
    "reopen_onboarding_task",
    "resolve_identity",
    "update_client",
    "update_contact",
    "update_onboarding_task",
]
