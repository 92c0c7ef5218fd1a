"""Entering signals into the ledger: with payload, delivery, identity, clocks and events, many at once.

Part of the use cases that receive signals. Entries of one call cost a constant number of statements.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, connection, transaction

from flowledger.clients.models import Client, Contact, IdentityKey
from flowledger.clients.services import Asked, ResolvedIdentity, resolve_identities
from flowledger.errors import Conflict
from flowledger.outbox.recording import bulk_record, record_events
from flowledger.tenancy.actors import Actor, Origin
from flowledger.tenancy.models import Organization
from workstream import clocks, events
from workstream.hindsight import Hindsight
from workstream.intake.fields import SignalFields
from workstream.intake.sealed_keys import with_sealed
from workstream.models import Signal, SignalDelivery, SignalPayload
from workstream.models.intake import IntakeSource
from workstream.models.sla import SlaClock, SlaMetric

NATURAL_KEY = "signal_natural_key"
# The tables that grow with every signal; see `flowledger.tenancy.statistics`.
WRITTEN = (Signal, SignalPayload, SignalDelivery, SlaClock, Contact, Client, IdentityKey)
# Each further attempt has lost a race against a transaction that has ended since.
ATTEMPTS = 8


@dataclass(frozen=True)
class Entry:
    """A signal to enter: valid fields, and the bytes that they came in."""

    fields: SignalFields
    body: bytes
    content_type: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.body).hexdigest()


@dataclass(frozen=True)
class Delivered:
    """By which door entries came: written on every delivery."""

    channel: str = ""
    source: IntakeSource | None = None
    sender: str = ""


@dataclass(frozen=True)
class Entered:
    """Where an entry is in the ledger. A repeat has no `identity`: its sender was recognised the first time."""

    signal_id: int
    contact_id: int | None
    client_id: int | None
    identity: ResolvedIdentity | None = None
    signal: Signal | None = None

    @property
    def is_repeat(self) -> bool:
        return self.identity is None


def enter(
    *, org: Organization, entries: Sequence[Entry], delivered: Delivered, actor: Actor, at: datetime
) -> list[Entered]:
    """Enter signals, in their order; a natural key that is known, also from an entry before, leaves a repeat.

    Somebody who delivers the same natural keys at the same moment makes us wait for their commit and look again: what
    this call had written so far is taken back to its savepoint. Raises Conflict after ATTEMPTS lost races.
    """
    for _ in range(ATTEMPTS):
        try:
            with transaction.atomic():
                return _enter(org, entries, delivered, actor, at)
        except IntegrityError as error:
            if NATURAL_KEY not in str(error):
                raise
    raise Conflict("The same signals are being delivered by others at this moment; send them again.")


def _enter(
    org: Organization, entries: Sequence[Entry], delivered: Delivered, actor: Actor, at: datetime
) -> list[Entered]:
    known = _known(org, entries)
    first: dict[str, int] = {}
    fresh: list[int] = []
    for place, entry in enumerate(entries):
        key = entry.fields.natural_key
        if key is None or (key not in known and first.setdefault(key, place) == place):
            fresh.append(place)
    identities = _identities(org, [entries[place].fields for place in fresh], actor, at)
    signals = _signals(org, [entries[place].fields for place in fresh], identities, actor, at)
    entered: dict[int, Entered] = {}
    for place, signal, identity in zip(fresh, signals, identities, strict=True):
        entered[place] = Entered(signal.pk, signal.contact_id, signal.client_id, identity, signal)
    for place, entry in enumerate(entries):
        if place not in entered:
            key = entry.fields.natural_key
            assert key is not None
            found = known.get(key) or entered[first[key]]
            entered[place] = Entered(found.signal_id, found.contact_id, found.client_id)
    _keep_payloads(org, [(signal, entries[place]) for place, signal in zip(fresh, signals, strict=True)], at)
    _trail(org, [(entry, entered[place]) for place, entry in enumerate(entries)], delivered, at)
    _start_clocks(org, signals, actor, at)
    bulk_record(signals)
    repeats = [
        (org.pk, events.SignalRepeated(signal_id=entered[place].signal_id, payload_sha256=entry.sha256))
        for place, entry in enumerate(entries)
        if entered[place].is_repeat
    ]
    record_events(facts=repeats, actor=actor, at=at)
    return [entered[place] for place in range(len(entries))]


def _known(org: Organization, entries: Sequence[Entry]) -> dict[str, Entered]:
    """The signals that are there by natural key."""
    keys = sorted({key for entry in entries if (key := entry.fields.natural_key) is not None})
    if not keys:
        return {}
    # Also those whose sender was erased: what comes again then must not bring anything back.
    forms = with_sealed(org.pk, keys)
    rows = Signal.objects.for_org(org).filter(dedupe_key__in=list(forms))
    found = rows.values_list("dedupe_key", "pk", "contact_id", "client_id")
    return {forms[form]: Entered(*names) for form, *names in found}


def _identities(org: Organization, asked: Sequence[SignalFields], actor: Actor, at: datetime) -> list[ResolvedIdentity]:
    if not asked:
        return []
    questions = [
        Asked(
            email=fields.contact_email,
            phone=fields.contact_phone,
            name=fields.contact_name,
            company_name=fields.company_name,
            company_domain=fields.company_domain,
            country=_country(fields),
            source_ref=fields.contact_ref,
        )
        for fields in asked
    ]
    return resolve_identities(org=org, asked=questions, actor=actor, at=at)


def _country(fields: SignalFields) -> str:
    """The company's country, where the facts of the signal name it by its two letters."""
    given = fields.attributes.get("country")
    return given.upper() if isinstance(given, str) and re.fullmatch(r"[A-Za-z]{2}", given) else ""


def _signals(
    org: Organization,
    received: Sequence[SignalFields],
    identities: Sequence[ResolvedIdentity],
    actor: Actor,
    at: datetime,
) -> list[Signal]:
    """New rows, stored. Their ids follow the order given; they are inserted in that of their natural keys, so that two
    transactions with the same ones cannot wait for each other.
    """
    rows = []
    for pk, fields, identity in zip(_new_ids(len(received)), received, identities, strict=True):
        signal = Signal(
            pk=pk,
            org=org,
            contact_id=identity.contact_id,
            client_id=identity.client_id,
            identity_resolution=identity.as_dict(),
            **fields.columns(at=at),
        )
        signal.receive(actor=actor, at=at)
        rows.append(signal)
    Signal.objects.for_org(org).bulk_create(sorted(rows, key=lambda row: (row.dedupe_key or "", row.pk)))
    return rows


def _new_ids(number: int) -> list[int]:
    if not number:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT nextval(pg_get_serial_sequence('workstream_signal', 'id')) FROM generate_series(1, %s)", [number]
        )
        return [pk for (pk,) in cursor.fetchall()]


def _keep_payloads(org: Organization, received: Sequence[tuple[Signal, Entry]], at: datetime) -> None:
    SignalPayload.objects.for_org(org).bulk_create(
        SignalPayload(
            org=org,
            signal=signal,
            body=entry.body,
            content_type=entry.content_type[:100],
            sha256=entry.sha256,
            received_at=at,
        )
        for signal, entry in received
    )


def _trail(org: Organization, received: Sequence[tuple[Entry, Entered]], delivered: Delivered, at: datetime) -> None:
    SignalDelivery.objects.for_org(org).bulk_create(
        SignalDelivery(
            org=org,
            signal_id=entered.signal_id,
            received_at=at,
            sender=delivered.sender[:200],
            payload_sha256=entry.sha256,
            is_repeat=entered.is_repeat,
            channel=delivered.channel,
            source=delivered.source,
        )
        for entry, entered in received
    )


def _start_clocks(org: Organization, signals: Sequence[Signal], actor: Actor, at: datetime) -> None:
    """Triage counts from when a signal happened. What an import brings is history: nobody is told that it is late."""
    if not signals:
        return
    if actor.origin is not Origin.IMPORT:
        clocks.begin_many(signals, at=at)
        return
    hindsight = Hindsight.in_force(org, at=at)
    for signal in signals:
        hindsight.measure(signal, SlaMetric.TRIAGE, signal.ts)
    hindsight.store()
