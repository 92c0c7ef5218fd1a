"""Recognising who a signal is from, in the transaction that writes the signal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Case, F, Value, When
from django.db.models.functions import Coalesce

from flowledger.clients import normalising
from flowledger.clients.events import IdentityConflicted, IdentityResolved
from flowledger.clients.identity import Key, KnownKey, Resolution, Rule, SignalKeys, Status, resolve
from flowledger.clients.models import Client, Contact, IdentityKey, KeyStatus
from flowledger.outbox.recording import record_event
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.scope import org_scope


@dataclass(frozen=True)
class ResolvedIdentity:
    """Who a signal is from: the rows to link it to, and the decision with its reasons."""

    status: Status
    contact_id: int | None
    client_id: int | None
    confidence_score: Decimal
    rules: tuple[Rule, ...]

    def as_dict(self) -> dict[str, Any]:
        """The `identity_resolution` of the API."""
        return {
            "status": self.status.value,
            "contact_id": self.contact_id,
            "client_id": self.client_id,
            "confidence_score": float(self.confidence_score),
            "rules": [rule.as_dict() for rule in self.rules],
        }


def resolve_identity(
    *,
    org: Organization,
    email: str,
    phone: str,
    name: str,
    company_name: str,
    company_domain: str,
    actor: Actor,
    at: datetime,
    source_ref: str = "",
) -> ResolvedIdentity:
    """Find or make the contact and client of a signal; part of the use case that writes it, not one of its own.

    Texts are as received; what does not parse is no key. `source_ref` is the source system's identifier of the person
    or company, not of the message. The keys are locked until the transaction ends: signals that share one are resolved
    one after the other, so that a new company or person is made once. Raises PermissionRefused.
    """
    authorize(actor, "resolve_identity")
    keys = SignalKeys.read(
        email=email,
        phone=phone,
        company_name=company_name,
        company_domain=company_domain,
        source_ref=source_ref,
        region=org.default_region,
    )
    with org_scope(org):
        known = _known(org, keys.all(), at=at)
        resolution = resolve(keys, known)
        client_id = resolution.client_id
        if resolution.creates_client:
            client_id = _make_client(org, name=company_name, domain=keys.company_domain)
        contact_id = resolution.contact_id
        fields = {
            "name": " ".join(name.split())[:200],
            "email": normalising.email_address(email) or "",
            "phone": keys.phone or "",
        }
        if resolution.creates_contact:
            contact = Contact(org=org, client_id=client_id, **fields)
            contact.save()
            contact_id = contact.pk
        elif contact_id is not None:
            _complete_contact(org, contact_id, known, client_id=client_id, fields=fields)
        _point(org, resolution, contact_id=contact_id, client_id=client_id)
        resolved = ResolvedIdentity(
            status=resolution.status,
            contact_id=contact_id,
            client_id=client_id,
            confidence_score=resolution.confidence_score,
            rules=tuple(_pointed(resolution.rules, contact_id=contact_id, client_id=client_id)),
        )
        _record(org, resolved, resolution, actor=actor, at=at)
    return resolved


def _known(org: Organization, keys: list[Key], *, at: datetime) -> dict[Key, KnownKey]:
    """Lock the keys and look up the contacts that they point at.

    The contacts are read by a statement after the lock: one that another transaction made while we waited is seen.
    """
    known: dict[Key, KnownKey] = IdentityKey.objects.for_org(org).claimed(org, keys, at=at)
    pks = {fact.contact_id for fact in known.values() if fact.contact_id is not None}
    if not pks:
        return known
    rows = Contact.objects.for_org(org).filter(pk__in=pks).values_list("pk", "client_id", "name", "email", "phone")
    facts = {pk: (client_id, contact_name, email, phone) for pk, client_id, contact_name, email, phone in rows}
    return {
        key: fact
        if fact.contact_id is None
        else replace(
            fact,
            contact_client_id=facts[fact.contact_id][0],
            contact_name=facts[fact.contact_id][1],
            contact_email=facts[fact.contact_id][2],
            contact_phone=facts[fact.contact_id][3],
        )
        for key, fact in known.items()
    }


def _make_client(org: Organization, *, name: str, domain: str | None) -> int:
    """A client named as the signal names it, else by its domain."""
    client = Client(org=org, name=" ".join(name.split())[:200] or domain or "", domain=domain or "")
    client.save()
    return client.pk


def _complete_contact(
    org: Organization, contact_id: int, known: dict[Key, KnownKey], *, client_id: int | None, fields: dict[str, str]
) -> None:
    """Fill what is blank on a known contact; what is there stays.

    Skipped while somebody edits the contact: whoever holds its row may be waiting for the keys that we hold, and the
    next signal fills it as well.
    """
    fact = next(fact for fact in known.values() if fact.contact_id == contact_id)
    has = {"name": fact.contact_name, "email": fact.contact_email, "phone": fact.contact_phone}
    missing = {field: value for field, value in fields.items() if value and not has[field]}
    if not missing and (client_id is None or fact.contact_client_id is not None):
        return
    rows = Contact.objects.for_org(org)
    if not list(rows.filter(pk=contact_id).select_for_update(no_key=True, skip_locked=True).values_list("pk")):
        return
    changes: dict[str, Any] = {
        field: Case(When(**{field: ""}, then=Value(value)), default=F(field)) for field, value in missing.items()
    }
    rows.filter(pk=contact_id).update(client_id=Coalesce(F("client_id"), Value(client_id)), **changes)


def _point(org: Organization, resolution: Resolution, *, contact_id: int | None, client_id: int | None) -> None:
    """Make new keys name what was found or made, and mark the keys that contradicted."""
    rows = IdentityKey.objects.for_org(org)
    if resolution.person_keys_to_point:
        rows.of(resolution.person_keys_to_point).update(contact_id=contact_id, status=KeyStatus.AUTO)
    if resolution.company_keys_to_point:
        rows.of(resolution.company_keys_to_point).update(client_id=client_id, status=KeyStatus.AUTO)
    if resolution.status is Status.CONFLICT:
        rows.of(_contradicting(resolution)).update(status=KeyStatus.CONFLICT)


def _contradicting(resolution: Resolution) -> Iterable[Key]:
    for rule in resolution.rules:
        contact_lost = rule.contact_id in resolution.other_contact_ids
        client_lost = rule.contact_id is None and rule.client_id in resolution.other_client_ids
        if contact_lost or client_lost:
            yield Key(rule.key_type, rule.key_value)


def _pointed(rules: Iterable[Rule], *, contact_id: int | None, client_id: int | None) -> Iterable[Rule]:
    """The rules with what they made."""
    for rule in rules:
        if rule.rule == "new_contact":
            yield replace(rule, contact_id=contact_id)
        elif rule.rule == "new_client":
            yield replace(rule, client_id=client_id)
        else:
            yield rule


def _record(
    org: Organization, resolved: ResolvedIdentity, resolution: Resolution, *, actor: Actor, at: datetime
) -> None:
    rules = [rule.rule for rule in resolved.rules]
    if resolved.status is Status.CONFLICT:
        conflict = IdentityConflicted(
            contact_id=resolved.contact_id,
            client_id=resolved.client_id,
            other_contact_ids=list(resolution.other_contact_ids),
            other_client_ids=list(resolution.other_client_ids),
            rules=rules,
        )
        record_event(org=org, event=conflict, actor=actor, at=at)
    elif resolved.status is not Status.UNRESOLVED:
        fact = IdentityResolved(
            contact_id=resolved.contact_id, client_id=resolved.client_id, status=resolved.status.value, rules=rules
        )
        record_event(org=org, event=fact, actor=actor, at=at)
