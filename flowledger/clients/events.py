"""What happens to identities, in the past tense: ids and JSON values only."""

from __future__ import annotations

from dataclasses import dataclass

from flowledger.outbox.events import event


@event("identity.resolved", item="contact")
@dataclass(frozen=True)
class IdentityResolved:
    """The exact keys of a signal named or created its contact and client; `status` is linked or created.

    `rules` are the names of the rules that fired; the keys themselves stay on the signal.
    """

    contact_id: int | None
    client_id: int | None
    status: str
    rules: list[str]


@event("identity.conflict", item="contact")
@dataclass(frozen=True)
class IdentityConflicted:
    """Keys of one signal point at different contacts or clients; it was linked to the first, the strongest."""

    contact_id: int | None
    client_id: int | None
    other_contact_ids: list[int]
    other_client_ids: list[int]
    rules: list[str]


@event("identity.suggested", item="identity_conflict", item_id="conflict_id")
@dataclass(frozen=True)
class IdentitySuggested:
    """Two contacts or two clients may be the same; a person is asked. `entity_type` is contact or client."""

    conflict_id: int
    entity_type: str
    entity_ids: list[int]
    score: float


@event("identity.conflict_resolved", item="identity_conflict", item_id="conflict_id")
@dataclass(frozen=True)
class IdentityConflictResolved:
    """A person decided about a pair: `resolution` is merged or kept_apart."""

    conflict_id: int
    resolution: str
    merge_id: int | None


@event("contact.merged", item="contact")
@dataclass(frozen=True)
class ContactMerged:
    """A contact took in another, `merged_contact_id`, which stays as a tombstone that redirects."""

    contact_id: int
    merged_contact_id: int
    merge_id: int


@event("contact.merge_undone", item="contact")
@dataclass(frozen=True)
class ContactMergeUndone:
    """A merge of contacts was undone: both stand on their own again."""

    contact_id: int
    merged_contact_id: int
    merge_id: int


@event("client.merged", item="client")
@dataclass(frozen=True)
class ClientMerged:
    """A client took in another, `merged_client_id`, which stays as a tombstone that redirects."""

    client_id: int
    merged_client_id: int
    merge_id: int


@event("client.merge_undone", item="client")
@dataclass(frozen=True)
class ClientMergeUndone:
    """A merge of clients was undone: both stand on their own again."""

    client_id: int
    merged_client_id: int
    merge_id: int


@event("client.updated", item="client")
@dataclass(frozen=True)
class ClientUpdated:
    """Fields of a client were changed, by a person or an import; merges tell of themselves."""

    client_id: int
    changed: list[str]


@event("contact.updated", item="contact")
@dataclass(frozen=True)
class ContactUpdated:
    """Fields of a contact were changed, by a person or an import; `client` is its company."""

    contact_id: int
    changed: list[str]
