"""Pairs for the review queue, as resolution leaves them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from flowledger.clients.models import Contact, IdentityConflict
from flowledger.tenancy.models import Organization
from tests.factories import ClientFactory, ContactFactory, ScopedFactory

AT = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
REASONS = {
    "rules": [
        {
            "rule": "possible_contact",
            "key_type": "",
            "key_value": "",
            "score": 0.84,
            "points_at": {"contact_id": None, "client_id": None},
            "terms": [
                {"field": "given_name", "points": 5.5, "sentence": "One given name is a short form of the other."},
                {"field": "family_name", "points": 8.5, "sentence": "The family name is the same."},
                {"field": "phone", "points": -3.0, "sentence": "The phones differ."},
            ],
        }
    ]
}


class ConflictFactory(ScopedFactory):
    class Meta:
        model = IdentityConflict

    kind = "suggestion"
    score = Decimal("0.84")
    explanation = REASONS
    first_seen = AT
    last_seen = AT


def two_contacts(org: Organization) -> tuple[Contact, Contact]:
    """The same person twice, with what each record alone knows."""
    client = ClientFactory(org=org, name="Northwind")
    # Addresses are unique in an organisation.
    place = client.pk
    one = ContactFactory(
        org=org, client=client, name="Ann Moss", email=f"ann.moss@n{place}.example", preferences={"language": "en"}
    )
    two = ContactFactory(
        org=org, client=client, name="Annie Moss", email=f"annie@n{place}.example", phone="+4930123456", title="Buyer"
    )
    return one, two


def suggestion(org: Organization, one: Any = None, two: Any = None, **fields: Any) -> IdentityConflict:
    """An open pair of two contacts, or of what is given."""
    if one is None:
        one, two = two_contacts(org)
    name = str(one._meta.model_name)
    pair: IdentityConflict = ConflictFactory(org=org, **{name: one, f"other_{name}": two}, **fields)
    return pair
