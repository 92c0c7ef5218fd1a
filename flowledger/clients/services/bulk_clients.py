"""Entering and changing many clients at once, their identity keys in step; the way of imports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flowledger.clients.identity import Key
from flowledger.clients.models import Client
from flowledger.clients.services.clients import checked_client, domain_keys, name_keys, require_name
from flowledger.clients.services.key_book import KeyBook
from flowledger.clients.services.survivors import survivor_ids
from flowledger.clients.services.updates import record_updates
from flowledger.clients.services.written import (
    RecordChange,
    Refused,
    WrittenRow,
    as_json,
    creation_of,
    label_of,
    locked_rows,
    rejected,
    require_fitting,
    stamp,
    state_of,
)
from flowledger.errors import InvalidInput
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case


@dataclass(frozen=True)
class ClientRow:
    """A client to enter or to change: the given fields alone are written. Found by id, else by domain, else by name.

    `members` are put into JSON columns beside what is there: `{"attributes": {"region": "North"}}`.
    """

    fields: Mapping[str, Any]
    client_id: int | None = None
    members: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@use_case
def write_clients(
    *, org: Organization, rows: Sequence[ClientRow], may_create: bool, may_update: bool, actor: Actor, at: datetime
) -> list[WrittenRow]:
    """Write rows in their order, as one by one, by a constant number of statements; a bad row costs the others nothing.

    A domain that another client has is never taken from it. Raises PermissionRefused, Unavailable while somebody
    changes one of the clients.
    """
    authorize(actor, "edit_client")
    writer = _Writer(org, rows, may_create=may_create, may_update=may_update, at=at)
    written = writer.write()
    record_updates(org, written, actor=actor, at=at)
    return written


class _Writer:
    """The clients of one call, as the rows so far have made them."""

    def __init__(
        self, org: Organization, rows: Sequence[ClientRow], *, may_create: bool, may_update: bool, at: datetime
    ) -> None:
        self.org, self.at = org, at
        self.may_create, self.may_update = may_create, may_update
        self.rows = rows
        self.before: dict[int, dict[str, Any]] = {}
        self.new: list[Client] = []
        self.changed: dict[int, Client] = {}

    def write(self) -> list[WrittenRow]:
        checked = [self._checked(row) for row in self.rows]
        self._lock(checked)
        results: list[tuple[WrittenRow, Client | None]] = []
        for row, fields in zip(self.rows, checked, strict=True):
            try:
                if isinstance(fields, WrittenRow):
                    results.append((fields, None))
                else:
                    results.append(self._write_one(row, fields))
            except (Refused, InvalidInput) as error:
                results.append((rejected(error), None))
        self._store()
        return [_finished(written, client) for written, client in results]

    def _checked(self, row: ClientRow) -> dict[str, Any] | WrittenRow:
        try:
            fields = checked_client(row.fields)
            require_fitting(Client(org=self.org, **fields), fields)
        except (Refused, InvalidInput) as error:
            return rejected(error)
        return fields

    def _lock(self, checked: Sequence[dict[str, Any] | WrittenRow]) -> None:
        """Keys first, all of them by one statement, then the rows that they or the ids name."""
        wanted: set[Key] = set()
        for fields in checked:
            if isinstance(fields, dict):
                wanted |= set(_keys(Client(org=self.org, **fields)))
        named = {row.client_id for row in self.rows if row.client_id is not None}
        self.survivors = survivor_ids(Client, org=self.org, ids=named)
        named = {self.survivors.get(pk, pk) for pk in named}
        peeked = {fact.client_id for fact in KeyBook.peek(self.org, wanted).values()} - {None}
        for client in Client.objects.for_org(self.org).filter(pk__in=named | peeked):
            wanted |= set(_keys(client))
        self.keys = KeyBook(self.org, wanted, at=self.at)
        owners = {self.keys.owner(key, "client") for key in wanted} - {None}
        self.clients: dict[int, Client] = locked_rows(Client, org=self.org, ids=named | owners)

    def _write_one(self, row: ClientRow, fields: dict[str, Any]) -> tuple[WrittenRow, Client | None]:
        client = self._found(row, fields)
        if client is None:
            if not self.may_create:
                raise Refused("", "There is no such client, and this import only updates.")
            client = Client(org=self.org, **fields)
            _add_members(client, row.members)
            require_name(client)
            self._require_free(client, domain_keys(client))
            self.new.append(client)
            for key in _keys(client):
                self.keys.give(key, "client", client)
            return WrittenRow("created"), client
        if client.canonical_id is not None:
            raise Refused("client_id", f"This client was merged into client {client.canonical_id}.")
        before, old_keys = state_of(client), _keys(client)
        wanted = Client(org=self.org, **{**{name: getattr(client, name) for name in before}, **fields})
        wanted.pk = client.pk
        _add_members(wanted, row.members)
        after = state_of(wanted)
        changed = [name for name in after if after[name] != before[name]]
        if not changed:
            return WrittenRow("unchanged", client.pk), client
        if not self.may_update:
            listed = ", ".join(changed)
            raise Refused(
                "", f"This is client {client.pk or 'of a row above'} already; this import changes nothing ({listed})."
            )
        require_name(wanted)
        self._require_free(client, domain_keys(wanted))
        for name in changed:
            setattr(client, name, getattr(wanted, name))
        for key in old_keys:
            if key not in _keys(client):
                self.keys.take(key, "client", client.pk or client)
        for key in _keys(client):
            self.keys.give(key, "client", client.pk or client)
        written = WrittenRow("updated")
        if client.pk is not None:
            self.changed[client.pk] = client
            written.changes.append(
                RecordChange(
                    model=label_of(client),
                    item_id=client.pk,
                    is_creation=False,
                    before={name: before[name] for name in changed},
                    after={name: as_json(getattr(client, name)) for name in changed},
                )
            )
        return written, client

    def _found(self, row: ClientRow, fields: Mapping[str, Any]) -> Client | None:
        """The client that a row is about, stored or of a row above."""
        if row.client_id is not None:
            found = self.clients.get(self.survivors.get(row.client_id, row.client_id))
            if found is None:
                raise Refused("client_id", f"There is no client {row.client_id}.")
            return found
        asked = Client(org=self.org, **fields)
        domains = domain_keys(asked)
        for key in domains:
            if (owner := self._owner(key)) is not None:
                return owner
        for key in name_keys(asked):
            owner = self._owner(key)
            if owner is not None and (not domains or not owner.domain):
                return owner
        return None

    def _owner(self, key: Key) -> Client | None:
        owner = self.keys.owner(key, "client")
        return self.clients.get(owner) if isinstance(owner, int) else owner

    def _require_free(self, client: Client, keys: Sequence[Key]) -> None:
        for key in keys:
            owner = self._owner(key)
            if owner is not None and owner is not client:
                raise Refused("domain", f"{key.value} already belongs to client {owner.pk or 'of a row above'}.")

    def _store(self) -> None:
        stored = Client.objects.for_org(self.org)
        if self.new:
            stored.bulk_create(self.new)
        if self.changed:
            stamp(self.changed.values(), self.at)
            stored.bulk_update(
                sorted(self.changed.values(), key=lambda row: row.pk),
                [*state_of(next(iter(self.changed.values()))), "row_version", "updated_at"],
            )
        self.keys.store()


def _finished(written: WrittenRow, client: Client | None) -> WrittenRow:
    if client is None:
        return written
    written.item_id = client.pk
    if written.outcome == "created":
        written.changes.append(creation_of(client))
    for change in written.changes:
        change.version_after = client.row_version
    return written


def _keys(client: Client) -> list[Key]:
    return [*domain_keys(client), *name_keys(client)]


def _add_members(client: Client, members: Mapping[str, Mapping[str, Any]]) -> None:
    for name, values in members.items():
        setattr(client, name, {**getattr(client, name), **values})
