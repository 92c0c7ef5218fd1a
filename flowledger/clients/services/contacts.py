"""Use cases of contacts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flowledger.clients import normalising
from flowledger.clients.events import ContactUpdated
from flowledger.clients.identity import Key, KeyType
from flowledger.clients.models import Contact
from flowledger.clients.services.deletion import delete_what_goes_with, lock_to_delete, refuse_used
from flowledger.clients.services.fields import normal_email, normal_phone, only_known, refuse, require_object
from flowledger.clients.services.keys import claim_keys, lock_for_change
from flowledger.clients.services.survivors import require_standing
from flowledger.outbox.recording import record_event
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
    contact = Contact(org=org, **checked_contact(fields, org))
    require_somebody(contact)
    claim = claim_keys(contact, org=org, needed=email_keys(contact), wanted=phone_keys(contact), at=at)
    contact.save()
    claim.point(contact)
    return contact


@use_case
def update_contact(
    *, org: Organization, contact_id: int, fields: Mapping[str, Any], actor: Actor, at: datetime
) -> Contact:
    """Change fields; the identity keys follow address and phone. `is_active` off is how a contact is retired.

    Raises NotFound, PermissionRefused, InvalidInput, Conflict when the address is another contact's and for a contact
    that was merged into another.
    """
    contact: Contact = Contact.objects.for_org(org).fetch(contact_id)
    authorize(actor, "edit_contact", contact)
    changes = checked_contact(fields, org)
    contact, claim, changed = lock_for_change(contact, changes, org=org, needed=email_keys, wanted=phone_keys, at=at)
    require_somebody(contact)
    contact.save(update_fields=changes)
    if claim is not None:
        claim.point(contact)
    if changed:
        record_event(org=org, event=ContactUpdated(contact_id=contact.pk, changed=changed), actor=actor, at=at)
    return contact


@use_case
def delete_contact(*, org: Organization, contact_id: int, actor: Actor, at: datetime) -> None:
    """Delete a contact with its notes and identity keys.

    Raises NotFound, PermissionRefused, Conflict with counts while pipeline items name the contact, and for one that was
    merged into another.
    """
    rows = Contact.objects.for_org(org)
    authorize(actor, "delete_contact", rows.fetch(contact_id))
    lock_to_delete(org=org, clients=[], contacts=[contact_id])
    contact: Contact = rows.fetch(contact_id)
    require_standing(contact)
    refuse_used(org=org, clients=[], contacts=[contact_id], kind="contact")
    delete_what_goes_with(org.pk, Contact, [contact.pk])
    contact.delete()


def checked_contact(fields: Mapping[str, Any], org: Organization) -> dict[str, Any]:
    changes = only_known(fields, CONTACT_FIELDS, of="contact")
    normal_email(changes)
    normal_phone(changes, region=org.default_region)
    require_object(changes, "preferences", "social_links")
    return changes


def require_somebody(contact: Contact) -> None:
    if not (contact.name or contact.email or contact.phone):
        refuse("name", "A contact needs a name, an email address or a phone number.")


def email_keys(contact: Contact) -> list[Key]:
    key = normalising.email_key(contact.email) if contact.email else None
    return [Key(KeyType.EMAIL.value, key)] if key else []


def phone_keys(contact: Contact) -> list[Key]:
    return [Key(KeyType.PHONE.value, contact.phone)] if contact.phone else []
