"""The one way in for many: items of any channel become signals, repeats or rejects, a chunk in one transaction.

Whatever the number of items, a chunk costs a constant number of statements. Locks are taken in one order everywhere:
rejects, identity keys, contacts and clients, natural keys; of each kind sorted. A bad item costs its neighbours
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from django.db import DataError, IntegrityError, transaction

from flowledger.clients.services import ResolvedIdentity
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Membership, Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case
from workstream.intake.fields import FieldErrors, SignalFields, read_fields
from workstream.models.intake import IntakeSource
from workstream.models.signals import Channel, SourceType
from workstream.services import ledger
from workstream.services.ledger import Delivered, Entered, Entry
from workstream.services.rejects import Refused, keep_many

MAX_CHUNK = 500
# The source type of what comes through a door that has no source and whose fields name none.
DEFAULT_TYPES: Mapping[str, str] = {
    Channel.CSV: SourceType.IMPORT,
    Channel.FORM: SourceType.WEB_FORM,
    Channel.EMAIL: SourceType.EMAIL,
    Channel.WEBHOOK: SourceType.WEBHOOK,
}


@dataclass(frozen=True)
class Incoming:
    """One thing that came in: what could be read of it, and its own bytes.

    Raw `fields` are checked here (`intake.fields.read_fields`; the source's type, or the channel's, where they name
    none); SignalFields were checked already. `dedupe_key` and `contact_ref` stand in where the fields do not bring
    them. A thing that its channel could not read comes with `code`, `reason` and `errors`, and is rejected with them.
    """

    fields: Mapping[str, Any] | SignalFields
    body: bytes
    content_type: str = "application/json"
    dedupe_key: str = ""
    contact_ref: str = ""
    code: str = ""
    reason: str = ""
    errors: Mapping[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What became of one item.

    `created` and `repeated` name the signal, with the contact and client that it is linked to; `rejected` says why and
    names the stored reject, which CSV rows do not get: their rows are kept already. `identity` is set for `created`.
    """

    status: Literal["created", "repeated", "rejected"]
    signal_id: int | None = None
    reject_id: int | None = None
    contact_id: int | None = None
    client_id: int | None = None
    code: str = ""
    reason: str = ""
    errors: Mapping[str, list[str]] = field(default_factory=dict)
    identity: ResolvedIdentity | None = None


@use_case
def receive_signals(
    *,
    org: Organization,
    items: Sequence[Incoming],
    channel: Channel,
    source: IntakeSource | None = None,
    sender: str = "",
    actor: Actor,
    at: datetime,
) -> list[Outcome]:
    """Take in one chunk, of MAX_CHUNK items at most: an outcome for every item, in their order.

    What is in the ledger by its natural key, or comes twice in the chunk, leaves a repeat and creates nothing. What is
    not valid is a stored reject. Raises PermissionRefused, Conflict when others deliver the same without end.
    """
    authorize(actor, "create_signal")
    if len(items) > MAX_CHUNK:
        raise ValueError(f"A chunk has at most {MAX_CHUNK} items, this one has {len(items)}.")
    default = source.source_type if source is not None else DEFAULT_TYPES.get(channel, "")
    read = _require_members(org, [_read(item, default) for item in items])
    delivered = Delivered(channel=channel, source=source, sender=sender)
    refused = {place: found for place, found in enumerate(read) if isinstance(found, Refused)}
    outcomes = _reject(org, refused, delivered, actor, at)
    entries = {place: found for place, found in enumerate(read) if isinstance(found, Entry)}
    outcomes |= _enter(org, entries, delivered, actor, at)
    return [outcomes[place] for place in range(len(items))]


def _read(item: Incoming, default_source_type: str) -> Entry | Refused:
    given = item.fields.as_json() if isinstance(item.fields, SignalFields) else dict(item.fields)
    for name, value in (("dedupe_key", item.dedupe_key), ("contact_ref", item.contact_ref)):
        if value and not given.get(name):
            given[name] = value
    if item.reason:
        return Refused(item.body, item.content_type, item.code, item.reason, item.errors, given)
    try:
        fields = read_fields(given, default_source_type=default_source_type)
    except FieldErrors as error:
        return Refused(item.body, item.content_type, "validation_error", error.sentence, error.errors, error.readable)
    return Entry(fields, item.body, item.content_type)


def _require_members(org: Organization, read: Sequence[Entry | Refused]) -> list[Entry | Refused]:
    """Refuse entries whose owner is no active member of the organisation."""
    wanted = {found.fields.owner_user_id for found in read if isinstance(found, Entry)} - {None}
    if not wanted:
        return list(read)
    rows = Membership.objects.for_org(org).filter(user_id__in=wanted, is_active=True, user__is_active=True)
    members = set(rows.values_list("user_id", flat=True))
    return [_without_member(found) if _is_owned_by_nobody(found, members) else found for found in read]


def _is_owned_by_nobody(found: Entry | Refused, members: set[int]) -> bool:
    owner = found.fields.owner_user_id if isinstance(found, Entry) else None
    return owner is not None and owner not in members


def _without_member(found: Any) -> Refused:
    sentence = f"There is no member {found.fields.owner_user_id}."
    readable = {name: value for name, value in found.fields.as_json().items() if name != "owner_user_id"}
    return Refused(
        found.body,
        found.content_type,
        "validation_error",
        f"owner_user_id: {sentence}",
        {"owner_user_id": [sentence]},
        readable,
    )


def _reject(
    org: Organization, refused: Mapping[int, Refused], delivered: Delivered, actor: Actor, at: datetime
) -> dict[int, Outcome]:
    ids: Sequence[int | None] = [None] * len(refused)
    if delivered.channel != Channel.CSV:
        ids = keep_many(org=org, refused=list(refused.values()), delivered=delivered, actor=actor, at=at)
    return {
        place: Outcome(
            status="rejected", reject_id=reject_id, code=found.code, reason=found.reason, errors=found.errors
        )
        for (place, found), reject_id in zip(refused.items(), ids, strict=True)
    }


def _enter(
    org: Organization, entries: Mapping[int, Entry], delivered: Delivered, actor: Actor, at: datetime
) -> dict[int, Outcome]:
    """Enter what is valid; what the database refuses all the same is narrowed down to the item that is to blame."""
    if not entries:
        return {}
    places = list(entries)
    try:
        with transaction.atomic():
            entered = ledger.enter(org=org, entries=list(entries.values()), delivered=delivered, actor=actor, at=at)
    except (DataError, IntegrityError) as error:
        if len(places) > 1:
            halves = places[: len(places) // 2], places[len(places) // 2 :]
            outcomes: dict[int, Outcome] = {}
            for half in halves:
                outcomes |= _enter(org, {place: entries[place] for place in half}, delivered, actor, at)
            return outcomes
        entry = entries[places[0]]
        reason = f"The database refused it: {str(error).splitlines()[0][:300]}"
        refused = Refused(entry.body, entry.content_type, "refused_by_database", reason, {}, entry.fields.as_json())
        return _reject(org, {places[0]: refused}, delivered, actor, at)
    return {place: _outcome(found) for place, found in zip(places, entered, strict=True)}


def _outcome(entered: Entered) -> Outcome:
    return Outcome(
        status="repeated" if entered.is_repeat else "created",
        signal_id=entered.signal_id,
        contact_id=entered.contact_id,
        client_id=entered.client_id,
        identity=entered.identity,
    )
