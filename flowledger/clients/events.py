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
