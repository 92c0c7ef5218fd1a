"""Entering and changing many contacts at once, with their companies and identity keys; the way of imports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flowledger.clients import normalising
from flowledger.clients.identity import Key, KeyType
from flowledger.clients.models import Client, Contact
from flowledger.clients.services.contacts import checked_contact, email_keys, phone_keys, require_somebody
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
class ContactRow:
    """A contact to enter or to change: the given fields alone are written.

    Found by id, else by address, else by phone and name, else by name within the same company. Their company is
    `fields["client_id"]`, else found by domain or name, else entered. `members` are put into JSON columns beside what
    is there.
    """

    fields: Mapping[str, Any]
    contact_id: int | None = None
    company_name: str = ""
    company_domain: str = ""
    members: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def company_keys(self) -> list[Key]:
        domain = normalising.company_domain(self.company_domain) if self.company_domain else None
        name = normalising.company_name_key(self.company_name) if self.company_name else None
        pairs = ((KeyType.COMPANY_DOMAIN, domain), (KeyType.COMPANY_NAME, name))
        return [Key(kind.value, value) for kind, value in pairs if value]


@use_case
def write_contacts(
    *, org: Organization, rows: Sequence[ContactRow], may_create: bool, may_update: bool, actor: Actor, at: datetime
) -> list[WrittenRow]:
    """Write rows in their order, as one by one, by a constant number of statements; a bad row costs the others nothing.

    An address that another contact has is never taken from it; a phone may be shared. Raises PermissionRefused,
    Unavailable while somebody changes one of the contacts.
    """
    authorize(actor, "edit_contact")
    written = _Writer(org, rows, may_create=may_create, may_update=may_update, at=at).write()
    record_updates(org, written, actor=actor, at=at)
    return written


class _Writer:
    """The contacts and companies of one call, as the rows so far have made them."""

    def __init__(
        self, org: Organization, rows: Sequence[ContactRow], *, may_create: bool, may_update: bool, at: datetime
    ) -> None:
        self.org, self.at = org, at
        self.may_create, self.may_update = may_create, may_update
        self.rows = rows
        self.new: list[Contact] = []
        self.changed: dict[int, Contact] = {}
        self.new_clients: list[Client] = []
        # By id(): the new companies of contacts, which get their keys first.
        self.joins: dict[int, tuple[Contact, Client]] = {}

    def write(self) -> list[WrittenRow]:
        checked = [self._checked(row) for row in self.rows]
        self._lock(checked)
        results: list[tuple[WrittenRow, Contact | None, Client | None]] = []
        for row, fields in zip(self.rows, checked, strict=True):
            if isinstance(fields, WrittenRow):
                results.append((fields, None, None))
                continue
            made = len(self.new_clients)
            try:
                written, contact = self._write_one(row, fields)
            except (Refused, InvalidInput) as error:
                self._forget_clients(made)
                results.append((rejected(error), None, None))
            else:
                results.append((written, contact, self.new_clients[made] if len(self.new_clients) > made else None))
        self._store()
        return [_finished(*result) for result in results]

    def _checked(self, row: ContactRow) -> dict[str, Any] | WrittenRow:
        given = {name: value for name, value in row.fields.items() if name != "client_id"}
        try:
            fields = checked_contact(given, self.org)
            require_fitting(Contact(org=self.org, **fields), fields)
            if len(row.company_name) > 200:
                raise Refused("company_name", "The name of a company has at most 200 characters.")
        except (Refused, InvalidInput) as error:
            return rejected(error)
        if "client_id" in row.fields:
            fields["client_id"] = row.fields["client_id"]
        return fields

    def _lock(self, checked: Sequence[dict[str, Any] | WrittenRow]) -> None:
        """Keys first, all of them by one statement, then the rows that they or the ids name."""
        wanted = {key for row in self.rows for key in row.company_keys}
        asked = [Contact(org=self.org, **fields) for fields in checked if isinstance(fields, dict)]
        for contact in asked:
            wanted |= set(_keys(contact))
        ids = {row.contact_id for row in self.rows if row.contact_id is not None}
        self.survivors = survivor_ids(Contact, org=self.org, ids=ids)
        ids = {self.survivors.get(pk, pk) for pk in ids}
        ids |= {fact.contact_id for fact in KeyBook.peek(self.org, wanted).values() if fact.contact_id is not None}
        rows = Contact.objects.for_org(self.org)
        # Contacts of before there were keys, and those that nothing but a name tells apart.
        addresses = {contact.email for contact in asked if contact.email}
        ids |= set(rows.current().filter(email__in=addresses).values_list("pk", flat=True)) if addresses else set()
        names = {contact.name for contact in asked if contact.name and not contact.email and not contact.phone}
        ids |= set(rows.current().filter(name__in=names).values_list("pk", flat=True)) if names else set()
        for contact in rows.filter(pk__in=ids):
            wanted |= set(_keys(contact))
        self.keys = KeyBook(self.org, wanted, at=self.at)
        owners = {self.keys.owner(key, "contact") for key in wanted} - {None}
        self.contacts: dict[int, Contact] = locked_rows(Contact, org=self.org, ids=ids | owners)
        self.by_email = {contact.email: contact for contact in self.contacts.values() if contact.email}
        self.by_name: dict[tuple[str, Any], Contact] = {}
        for pk in sorted(self.contacts, reverse=True):
            contact = self.contacts[pk]
            if contact.canonical_id is None:
                self.by_name[contact.name, contact.client_id] = contact
        self._read_clients(wanted)

    def _read_clients(self, wanted: set[Key]) -> None:
        named = {row.fields["client_id"] for row in self.rows if row.fields.get("client_id") is not None}
        self.client_survivors = survivor_ids(Client, org=self.org, ids=named)
        ids = {self.client_survivors.get(pk, pk) for pk in named}
        ids |= {self.keys.owner(key, "client") for key in wanted} - {None}
        rows = Client.objects.for_org(self.org).filter(pk__in=ids)
        self.client_domains: dict[int, str] = dict(rows.values_list("pk", "domain"))

    def _write_one(self, row: ContactRow, fields: dict[str, Any]) -> tuple[WrittenRow, Contact]:
        company = self._company(row, fields)
        contact = self._found(row, fields, company)
        values = {name: value for name, value in fields.items() if name != "client_id"}
        if contact is None:
            if not self.may_create:
                raise Refused("", "There is no such contact, and this import only updates.")
            contact = Contact(org=self.org, **values)
            _add_members(contact, row.members)
            require_somebody(contact)
            self._join(contact, company)
            self.new.append(contact)
            self._note(contact)
            return WrittenRow("created"), contact
        if contact.canonical_id is not None:
            raise Refused("contact_id", f"This contact was merged into contact {contact.canonical_id}.")
        before, old_keys = state_of(contact), _keys(contact)
        wanted = Contact(org=self.org, **{**{name: getattr(contact, name) for name in before}, **values})
        _add_members(wanted, row.members)
        if "client_id" in fields and fields["client_id"] is None:
            wanted.client_id = None
        elif isinstance(company, int):
            wanted.client_id = company
        after = state_of(wanted)
        changed = [name for name in after if after[name] != before[name]]
        joins = isinstance(company, Client) and self._new_company_of(contact) is not company
        if joins and "client_id" not in changed:
            changed.append("client_id")
        if not changed:
            return WrittenRow("unchanged", contact.pk), contact
        who = f"contact {contact.pk}" if contact.pk else "the contact of a row above"
        if not self.may_update:
            raise Refused("", f"This is {who} already; this import changes nothing ({', '.join(changed)}).")
        require_somebody(wanted)
        self._require_free(contact, wanted)
        if self.by_email.get(contact.email) is contact:
            del self.by_email[contact.email]
        for name in changed:
            if name != "client_id":
                setattr(contact, name, getattr(wanted, name))
        if "client_id" in changed:
            self.joins.pop(id(contact), None)
            contact.client_id = wanted.client_id
            self._join(contact, company)
        for key in old_keys:
            if key not in _keys(contact):
                self.keys.take(key, "contact", contact.pk or contact)
        self._note(contact)
        written = WrittenRow("updated")
        if contact.pk is not None:
            self.changed[contact.pk] = contact
            old = {name: before[name] for name in changed}
            new = {name: as_json(getattr(contact, name)) for name in changed}
            written.changes.append(
                RecordChange(model=label_of(contact), item_id=contact.pk, is_creation=False, before=old, after=new)
            )
        return written, contact

    # --- whom and which company a row is about ---

    def _found(self, row: ContactRow, fields: Mapping[str, Any], company: Any) -> Contact | None:
        if row.contact_id is not None:
            found = self.contacts.get(self.survivors.get(row.contact_id, row.contact_id))
            if found is None:
                raise Refused("contact_id", f"There is no contact {row.contact_id}.")
            return found
        asked = Contact(org=self.org, **{name: value for name, value in fields.items() if name != "client_id"})
        for key in email_keys(asked):
            if (owner := self._owner(key)) is not None:
                return owner
        if asked.email:
            return self.by_email.get(asked.email)
        for key in phone_keys(asked):
            owner = self._owner(key)
            if owner is not None and _same_name(owner.name, asked.name):
                return owner
        if not asked.phone and asked.name:
            return self.by_name.get((asked.name, _place(company)))
        return None

    def _company(self, row: ContactRow, fields: Mapping[str, Any]) -> Any:
        """The id of the client, the client of a row above or a new one, or None."""
        if fields.get("client_id") is not None:
            pk = self.client_survivors.get(fields["client_id"], fields["client_id"])
            if pk not in self.client_domains:
                raise Refused("client_id", f"There is no client {fields['client_id']}.")
            return pk
        keys = row.company_keys
        domains = [key for key in keys if key.type == KeyType.COMPANY_DOMAIN]
        for key in keys:
            owner = self.keys.owner(key, "client")
            if owner is None:
                continue
            has_domain = owner.domain if isinstance(owner, Client) else self.client_domains.get(owner)
            if key in domains or not domains or not has_domain:
                return owner
        if not keys:
            return None
        if not self.may_create:
            raise Refused("company_name", f"There is no client {row.company_name or row.company_domain}.")
        domain = normalising.registrable_domain(row.company_domain) if domains else None
        name = " ".join(row.company_name.split())[:200] or domain or ""
        client = Client(org=self.org, name=name, domain=domain or "")
        self.new_clients.append(client)
        for key in keys:
            self.keys.give(key, "client", client)
        return client

    def _forget_clients(self, made: int) -> None:
        """The row that would have needed it was refused."""
        for client in self.new_clients[made:]:
            for key in [*_company_keys(client)]:
                if self.keys.owner(key, "client") is client:
                    self.keys.take(key, "client", client)
        del self.new_clients[made:]

    def _owner(self, key: Key) -> Contact | None:
        owner = self.keys.owner(key, "contact")
        return self.contacts.get(owner) if isinstance(owner, int) else owner

    def _require_free(self, contact: Contact, wanted: Contact) -> None:
        owners = [self._owner(key) for key in email_keys(wanted)]
        owners.append(self.by_email.get(wanted.email))
        for owner in owners:
            if owner is not None and owner is not contact:
                who = f"contact {owner.pk}" if owner.pk else "the contact of a row above"
                raise Refused("email", f"{wanted.email} already belongs to {who}; merge the two or leave it out.")

    # --- what the rows so far have made ---

    def _note(self, contact: Contact) -> None:
        for key in _keys(contact):
            self.keys.give(key, "contact", contact.pk or contact)
        if contact.email:
            self.by_email[contact.email] = contact
        self.by_name.setdefault((contact.name, _place(self._new_company_of(contact) or contact.client_id)), contact)

    def _join(self, contact: Contact, company: Any) -> None:
        if isinstance(company, Client):
            self.joins[id(contact)] = (contact, company)
        elif company is not None:
            contact.client_id = company

    def _new_company_of(self, contact: Contact) -> Client | None:
        joined = self.joins.get(id(contact))
        return joined[1] if joined else None

    def _store(self) -> None:
        if self.new_clients:
            Client.objects.for_org(self.org).bulk_create(self.new_clients)
        for contact, client in self.joins.values():
            contact.client_id = client.pk
        stored = Contact.objects.for_org(self.org)
        if self.new:
            stored.bulk_create(self.new)
        if self.changed:
            stamp(self.changed.values(), self.at)
            columns = [*state_of(next(iter(self.changed.values()))), "row_version", "updated_at"]
            stored.bulk_update(sorted(self.changed.values(), key=lambda row: row.pk), columns)
        self.keys.store()


def _finished(written: WrittenRow, contact: Contact | None, made: Client | None) -> WrittenRow:
    if contact is None:
        return written
    written.item_id = contact.pk
    for change in written.changes:
        change.version_after = contact.row_version
        if "client_id" in change.after:
            change.after["client_id"] = contact.client_id
    if written.outcome == "created":
        written.changes.append(creation_of(contact))
    if made is not None:
        written.changes.append(creation_of(made))
    return written


def _keys(contact: Contact) -> list[Key]:
    return [*email_keys(contact), *phone_keys(contact)]


def _company_keys(client: Client) -> list[Key]:
    return ContactRow({}, company_name=client.name, company_domain=client.domain).company_keys


def _place(company: Client | int | None) -> Any:
    """What tells companies apart, stored or not."""
    return ("new", id(company)) if isinstance(company, Client) else company


def _same_name(one: str, other: str) -> bool:
    return " ".join(one.casefold().split()) == " ".join(other.casefold().split())


def _add_members(contact: Contact, members: Mapping[str, Mapping[str, Any]]) -> None:
    for name, values in members.items():
        setattr(contact, name, {**getattr(contact, name), **values})
