"""The texts of tables, said once: for the export of a person, their erasure, and the test that none is missed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db.models import BooleanField, Case, CharField, F, Func, Q, TextField, Value, When
from django.db.models.functions import Cast
from rapidfuzz import fuzz

from flowledger.clients.erasure import Counts, Held, Mentions, Passages, Person, Said, add_counts
from flowledger.clients.sql.texts import write_texts
from flowledger.outbox.redaction import MARKER
from flowledger.tenancy.models import Organization

# A statement that is shorter is no proof that a sentence was made of it.
LEAST_STATEMENT = 4
# How alike (percent) the sentence at a passage's place must be to be the same, written a little differently.
ALIKE = 75


@dataclass(frozen=True)
class Texts:
    """The texts of one table.

    `own` says which rows are about a person and nobody else. They go when `goes` says so; else `left` is what their
    columns hold afterwards: a value, the marker where there was a text, or an expression. In `named_in` of every row
    the person's names, addresses and numbers are replaced by the marker. What is in neither says nothing about people,
    and `spared` says why.
    """

    model: type[Any]
    own: Callable[[Person], Q] | None = None
    goes: bool = False
    left: Mapping[str, Any] = field(default_factory=dict)
    named_in: Sequence[str] = ()
    # Texts that must differ from row to row.
    numbered: Sequence[str] = ()
    spared: Mapping[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """`workstream.activity`."""
        return str(self.model._meta.label_lower)

    @property
    def columns(self) -> set[str]:
        """Every column that it says something of."""
        return {*self.left, *self.named_in, *self.spared}

    def rows(self, org: Organization) -> Any:
        """The organisation's rows of the table."""
        return self.model.objects.for_org(org)

    def own_rows(self, person: Person) -> Any:
        """The rows that are about the person."""
        rows = self.rows(person.org)
        return rows.none() if self.own is None else rows.filter(self.own(person))

    def naming_rows(self, org: Organization, mentions: Mentions) -> Any:
        """The rows that may name somebody in a text; some of them only seem to."""
        if not mentions or not self.named_in:
            return self.rows(org).none()
        found = Q()
        for name in self.named_in:
            found |= Q(candidate(mentions, Cast(name, TextField())))
        return self.rows(org).filter(found)


class _Likes(Func):
    """`text ILIKE ANY (patterns)`."""

    template = "(%(expressions)s))"
    arg_joiner = " ILIKE ANY ("
    output_field = BooleanField()


class _Matches(Func):
    """`text ~* pattern`."""

    template = "(%(expressions)s)"
    arg_joiner = " ~* "
    output_field = BooleanField()


def candidate(mentions: Mentions, text: Any, *, in_bytes: bool = False) -> Any:
    """The condition that a text may have one of the mentions; `in_bytes` of bytes as `escaped` shows them."""
    if mentions.words:
        patterns = [f"%{_octal(word) if in_bytes else word}%" for word in mentions.words]
        return _Likes(text, Value(patterns, output_field=ArrayField(TextField())))
    pattern = _octal(mentions.candidates) if in_bytes else mentions.candidates
    return _Matches(text, Value(pattern, output_field=TextField()))


def _octal(pattern: str) -> str:
    """A pattern for bytes as `escaped` shows them."""
    return "".join(each if each.isascii() else "".join(rf"\\{byte:03o}" for byte in each.encode()) for each in pattern)


def escaped(column: str) -> Func:
    """Bytes as a text that can be searched: ASCII as it is, everything else in octal."""
    return Func(F(column), Value("escape"), function="encode", output_field=TextField())


class TextEraser:
    """An eraser of tables, in the order in which their rows are locked; `first` does what is more than texts."""

    def __init__(self, tables: Sequence[Texts], first: Callable[[Person, datetime], Counts] | None = None) -> None:
        self.tables = tables
        self._first = first

    def export(self, *, person: Person) -> Held:
        """The person's own rows, whole, and of rows that name them the columns that do."""
        return export_texts(self.tables, person=person)

    def count(self, *, person: Person) -> Counts:
        """How many rows of each table `erase` would touch."""
        touched: Counts = {}
        for table in self.tables:
            found = set(table.own_rows(person).values_list("pk", flat=True)) if table.goes or table.left else set()
            found |= rows_with(table, org=person.org, mentions=person.mentions)
            add_counts(touched, {table.label: len(found)})
        return touched

    def erase(self, *, person: Person, at: datetime) -> Counts:
        """Empty the person's own rows and take their mentions out of the others, table by table, rows by id."""
        touched: Counts = {}
        # All at first: what makes a row the person's own may be among the texts that go.
        own = [list(table.own_rows(person).order_by("pk").values_list("pk", flat=True)) for table in self.tables]
        if self._first is not None:
            add_counts(touched, self._first(person, at))
        for table, pks in zip(self.tables, own, strict=True):
            if table.goes or table.left:
                _empty_own(table, person.org, pks, at=at)
            else:
                pks = []
            named = redact_mentions(table, org=person.org, mentions=person.mentions, at=at)
            add_counts(touched, {table.label: len({*pks, *named})})
        return touched


def _empty_own(table: Texts, org: Organization, pks: Sequence[int], *, at: datetime) -> None:
    rows = table.rows(org).filter(pk__in=pks)
    list(rows.order_by("pk").select_for_update(no_key=True).values_list("pk", flat=True))
    if table.goes:
        rows.delete()
    elif pks:
        values = {name: _left(name, value) for name, value in table.left.items()}
        rows.update(**values, updated_at=at)


def redact_mentions(table: Texts, *, org: Organization, mentions: Mentions, at: datetime) -> set[int]:
    """Put the marker in the place of mentions in the columns that may have them; answers the rows that had any."""
    rows = table.naming_rows(org, mentions).order_by("pk").select_for_update(no_key=True)
    changed: dict[int, list[Any]] = {}
    for pk, *values in rows.values_list("pk", *table.named_in):
        after = [mentions.without(value) for value in values]
        if after != values:
            changed[pk] = [_fitting(table, name, value, pk) for name, value in zip(table.named_in, after, strict=True)]
    write_texts(table.model, org_id=org.pk, columns=table.named_in, rows=changed, at=at)
    return set(changed)


def redact_said(
    table: Texts,
    statements: Sequence[str],
    *,
    org: Organization,
    passages: Passages,
    at: datetime,
    dry_run: bool,
    left: Mapping[str, Any] = MappingProxyType({}),
) -> dict[int, list[str]]:
    """Take what was said out of the statements of rows; answers what was removed, by row.

    A passage goes wherever it stands in a statement, a statement that stands in a passage goes whole, and where a
    passage was read in a field and is not found there, the sentence at its place goes, or if that is another one by
    now, all of the field. `left` is what a column holds when all of it goes, if that is not an empty text.
    """
    removed: dict[int, list[str]] = {}
    rows = table.rows(org).filter(pk__in=list(passages)).order_by("pk")
    if not dry_run:
        rows = rows.select_for_update(no_key=True)
    changed: dict[int, list[Any]] = {}
    for pk, *values in rows.values_list("pk", *statements):
        after = [
            _unsaid(name, value, passages[pk], left.get(name, ""))
            for name, value in zip(statements, values, strict=True)
        ]
        if after != values:
            fitting = [_fitting(table, name, each, pk) for name, each in zip(statements, after, strict=True)]
            changed[pk] = fitting
            removed[pk] = [text for old, new in zip(values, after, strict=True) if old != new for text in texts_of(old)]
    if not dry_run:
        write_texts(table.model, org_id=org.pk, columns=statements, rows=changed, at=at)
    return removed


def texts_of(value: Any) -> list[str]:
    """Every text in a value, those inside of a JSON value with it."""
    if isinstance(value, str):
        return [value] if value else []
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for member in members for text in texts_of(member)]


def rows_with(table: Texts, *, org: Organization, mentions: Mentions) -> set[int]:
    """The rows in which `redact_mentions` would find anything."""
    rows = table.naming_rows(org, mentions).order_by("pk").values_list("pk", *table.named_in)
    return {pk for pk, *values in rows if any(mentions.is_in(value) for value in values)}


def export_texts(tables: Sequence[Texts], *, person: Person) -> Held:
    """The person's own rows, whole, and of rows that name them the columns that do."""
    held: Held = {}
    for table in tables:
        own = [as_json(row) for row in table.own_rows(person).order_by("pk")]
        known = {row["id"] for row in own}
        for row in table.naming_rows(person.org, person.mentions).order_by("pk"):
            naming = {name: getattr(row, name) for name in table.named_in}
            said = {name: value for name, value in naming.items() if person.mentions.is_in(value)}
            if said and row.pk not in known:
                own.append({"id": row.pk, **{name: _plain(value) for name, value in said.items()}})
        if own:
            held[table.label] = own
    return held


def as_json(row: Any) -> dict[str, Any]:
    """A row as JSON; bytes as the text that they are, as far as they are any."""
    return {
        each.attname: _plain(getattr(row, each.attname))
        for each in row._meta.concrete_fields
        if each.name not in {"org", "row_version"}
    }


def _plain(value: Any) -> Any:
    if isinstance(value, bytes | memoryview):
        return bytes(value).decode("utf-8", "replace").replace("\x00", "\ufffd")
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


def _unsaid(name: str, value: Any, said: Sequence[Said] | None, left: Any) -> Any:
    """A statement without what was said in it."""
    if not value:
        return value
    if said is None:
        return left if isinstance(value, str) else type(value)()
    if not isinstance(value, str):
        return Mentions.passages([each.text for each in said]).without(value)
    for each in said:
        value = _without_one(name, value, each, left)
    return value


def _without_one(name: str, value: str, said: Said, left: str) -> str:
    flat, passage = _flat(value), _flat(said.text)
    if len(flat) >= LEAST_STATEMENT and flat in passage:
        return left
    if said.text and said.text in value:
        # Nearly always; a pattern for each of a thousand passages would cost more than all the rest.
        return value.replace(said.text, blank(said.text))
    after = Mentions.passages([said.text]).replace(value, with_=blank)
    if after != value or said.source_field != name or MARKER in value:
        return str(after)
    start, end = said.span or (0, 0)
    if end > start and fuzz.ratio(_flat(value[start:end]), passage) >= ALIKE:
        return value[:start] + blank(value[start:end]) + value[end:]
    return left


def _flat(text: str) -> str:
    return " ".join(text.casefold().split())


def blank(text: str) -> str:
    """A marker as long as the text, so that what was read behind it keeps its place; with the end of its sentence."""
    end = text[-1] if text[-1:] in {".", "!", "?"} else ""
    return MARKER[: len(text) - len(end)].ljust(len(text) - len(end)) + end


def _left(name: str, value: Any) -> Any:
    """What a column is set to; a marker only where there was a text."""
    if value == MARKER:
        return Case(When(**{name: ""}, then=Value("")), default=Value(MARKER))
    return value


def _fitting(table: Texts, name: str, value: Any, pk: int) -> Any:
    """A text that its column can take: the marker may be longer than what it stands for, and equal to another's."""
    column = table.model._meta.get_field(name)
    if name in table.numbered and isinstance(value, str) and MARKER in value:
        return f"{value[: column.max_length - 20]} {pk}"
    if isinstance(column, CharField) and isinstance(value, str):
        return value[: column.max_length]
    return value
