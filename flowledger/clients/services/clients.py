"""Use cases of clients."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flowledger.clients import normalising
from flowledger.clients.events import ClientUpdated
from flowledger.clients.identity import Key, KeyType
from flowledger.clients.models import Client, Contact, SizeBand
from flowledger.clients.services.deletion import delete_what_goes_with, lock_to_delete, refuse_used
from flowledger.clients.services.fields import normal_domain, only_known, refuse, require_object
from flowledger.clients.services.keys import claim_keys, lock_for_change
from flowledger.clients.services.survivors import require_standing
from flowledger.errors import Conflict
from flowledger.outbox.recording import record_event
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case

CLIENT_FIELDS = frozenset(
    {"name", "domain", "industry", "size_band", "annual_revenue", "country", "is_active", "attributes"}
)


@use_case
def create_client(*, org: Organization, fields: Mapping[str, Any], actor: Actor, at: datetime) -> Client:
    """Enter a company; its domain and name become identity keys, by which signals find it.

    `domain` may be a URL or an address. Raises PermissionRefused, InvalidInput, Conflict when the domain is another
    client's.
    """
    authorize(actor, "edit_client")
    client = Client(org=org, **checked_client(fields))
    require_name(client)
    claim = claim_keys(client, org=org, needed=domain_keys(client), wanted=name_keys(client), at=at)
    client.save()
    claim.point(client)
    return client


@use_case
def update_client(
    *, org: Organization, client_id: int, fields: Mapping[str, Any], actor: Actor, at: datetime
) -> Client:
    """Change fields; the identity keys follow domain and name. `is_active` off is how a client is retired.

    Raises NotFound, PermissionRefused, InvalidInput, Conflict when the domain is another client's and for a client
    that was merged into another.
    """
    client: Client = Client.objects.for_org(org).fetch(client_id)
    authorize(actor, "edit_client", client)
    changes = checked_client(fields)
    client, claim, changed = lock_for_change(client, changes, org=org, needed=domain_keys, wanted=name_keys, at=at)
    require_name(client)
    client.save(update_fields=changes)
    if claim is not None:
        claim.point(client)
    if changed:
        record_event(org=org, event=ClientUpdated(client_id=client.pk, changed=changed), actor=actor, at=at)
    return client


@use_case
def delete_client(*, org: Organization, client_id: int, actor: Actor, at: datetime) -> None:
    """Delete a client with its contacts, onboarding tasks, notes and identity keys.

    Raises NotFound, PermissionRefused, Conflict with counts while the client or one of its contacts is named by
    pipeline items (such a client is retired with `is_active`), and for one that was merged into another.
    """
    rows = Client.objects.for_org(org)
    authorize(actor, "delete_client", rows.fetch(client_id))
    contacts = Contact.objects.for_org(org).filter(client_id=client_id).order_by("pk")
    pks = list(contacts.values_list("pk", flat=True))
    lock_to_delete(org=org, clients=[client_id], contacts=pks)
    client: Client = rows.fetch(client_id)
    require_standing(client)
    if pks != list(contacts.values_list("pk", flat=True)):
        raise Conflict("The people of this client changed just now; look at them and delete the client again.")
    refuse_used(org=org, clients=[client_id], contacts=pks, kind="client")
    delete_what_goes_with(org.pk, Contact, pks)
    Contact.objects.for_org(org).filter(pk__in=pks).delete()
    delete_what_goes_with(org.pk, Client, [client.pk])
    client.delete()


def checked_client(fields: Mapping[str, Any]) -> dict[str, Any]:
    changes = only_known(fields, CLIENT_FIELDS, of="client")
    normal_domain(changes)
    require_object(changes, "attributes")
    if changes.get("size_band") and changes["size_band"] not in SizeBand.values:
        refuse("size_band", f"Choose one of: {', '.join(SizeBand.values)}.")
    if country := changes.get("country"):
        changes["country"] = country.upper()
        if not (len(country) == 2 and country.isascii() and country.isalpha()):
            refuse("country", "Write the country as its two letters of ISO 3166, for example DE.")
    if (revenue := changes.get("annual_revenue")) is not None and revenue < 0:
        refuse("annual_revenue", "A revenue is not negative.")
    return changes


def require_name(client: Client) -> None:
    if not client.name:
        refuse("name", "A client needs a name.")


def domain_keys(client: Client) -> list[Key]:
    """Free mail is no company's; such a domain may be noted on a client and never finds it."""
    domain = normalising.company_domain(client.domain) if client.domain else None
    return [Key(KeyType.COMPANY_DOMAIN.value, domain)] if domain else []


def name_keys(client: Client) -> list[Key]:
    name = normalising.company_name_key(client.name)
    return [Key(KeyType.COMPANY_NAME.value, name)] if name else []
