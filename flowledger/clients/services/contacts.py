"""Use cases of contacts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flowledger.clients import normalising
from flowledger.clients.identity import Key, KeyType
from flowledger.clients.models import Contact
from flowledger.clients.services.deletion import lock_to_delete, refuse_used
from flowledger.clients.services.fields import normal_email, normal_phone, only_known, refuse, require_object
from flowledger.clients.services.keys import claim_keys
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case

CONTACT_FIELDS = frozenset({"client", "name", "email", "phone", "title", "preferences", "social_links", "is_active"})


@use_case
def create_contact(*, org: Organization, fields: Mapping[str, Any], actor: Actor, at: datetime) -> Contact:
    """Enter a person; address and phone become identity keys, by which signals find them.

    Phones without a country code belong to the organisation's region. Raises PermissionRefused, InvalidInput, Conflict
    when the address is another contact's; a phone may be shared.
    """
    authorize(actor, "edit_contact")
    contact = Contact(org=org, **_checked(fields, org))
    _require_somebody(contact)
    claim = claim_keys(contact, org=org, needed=_email_keys(contact), wanted=_phone_keys(contact), at=at)
    contact.save()
    claim.point(contact)
    return contact


@use_case
def update_contact(
    *, org: Organization, contact_id: int, fields: Mapping[str, Any], actor: Actor, at: datetime
) -> Contact:
    """Change fields; the identity keys follow address and phone. `is_active` off is how a contact is retired.

    Raises NotFound, PermissionRefused, InvalidInput, Conflict when the address is another contact's.
    """
    contact: Contact = Contact.objects.for_org(org).locked().fetch(contact_id)
    authorize(actor, "edit_contact", contact)
    changes = _checked(fields, org)
    before = [*_email_keys(contact), *_phone_keys(contact)]
    for name, value in changes.items():
        setattr(contact, name, value)
    _require_somebody(contact)
    emails, phones = _email_keys(contact), _phone_keys(contact)
    if [*emails, *phones] == before:
        contact.save(update_fields=changes)
        return contact
    claim = claim_keys(contact, org=org, needed=emails, wanted=phones, released=before, at=at)
    contact.save(update_fields=changes)
    claim.point(contact)
    return contact


@use_case
def delete_contact(*, org: Organization, contact_id: int, actor: Actor, at: datetime) -> None:
    """Delete a contact with its notes and identity keys.

    Raises NotFound, PermissionRefused, Conflict with counts while pipeline items name the contact.
    """
    rows = Contact.objects.for_org(org)
    authorize(actor, "delete_contact", rows.locked().fetch(contact_id))
    lock_to_delete(org=org, clients=[], contacts=[contact_id])
    contact: Contact = rows.fetch(contact_id)
    refuse_used(org=org, clients=[], contacts=[contact_id], kind="contact")
    contact.delete()


def _checked(fields: Mapping[str, Any], org: Organization) -> dict[str, Any]:
    changes = only_known(fields, CONTACT_FIELDS, of="contact")
    normal_email(changes)
    normal_phone(changes, region=org.default_region)
    require_object(changes, "preferences", "social_links")
    return changes


def _require_somebody(contact: Contact) -> None:
    if not (contact.name or contact.email or contact.phone):
        refuse("name", "A contact needs a name, an email address or a phone number.")


def _email_keys(contact: Contact) -> list[Key]:
    key = normalising.email_key(contact.email) if contact.email else None
    return [Key(KeyType.EMAIL.value, key)] if key else []


def _phone_keys(contact: Contact) -> list[Key]:
    return [Key(KeyType.PHONE.value, contact.phone)] if contact.phone else []
