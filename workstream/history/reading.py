"""Turns the lines of an export into typed facts, or refuses them by line number; reads one line at a time."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TypeVar

from flowledger.errors import InvalidInput
from workstream.history.mapping import (
    AccountSource,
    HistoryMapping,
    OpportunitySource,
    ProductSource,
    SourceStage,
    TeamSource,
)
from workstream.history.report import BadRow, HistoryReport

T = TypeVar("T")

_LARGEST_AMOUNT = Decimal(10) ** 12
_CENT = Decimal("0.01")
# As long as the columns are in which the values end.
_LONGEST = {
    "account": 200,
    "agent": 150,
    "country": 200,
    "domain": 253,
    "email": 254,
    "industry": 100,
    "manager": 150,
    "product": 120,
}
_COUNTRY_CODE = re.compile(r"[A-Z]{2}")


class ExportRefused(InvalidInput):
    """The export as a whole cannot be read: a file or a column is missing."""


class BadLine(Exception):
    """One line cannot be loaded; the message says why."""


@dataclass(frozen=True)
class Account:
    """A company of the export."""

    line: int
    name: str
    domain: str = ""
    industry: str = ""
    annual_revenue: Decimal | None = None
    employees: int | None = None
    country: str = ""
    facts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Product:
    """A product of the export."""

    line: int
    name: str
    list_price: Decimal | None = None
    facts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TeamMember:
    """A salesperson of the export and the manager named beside."""

    line: int
    name: str
    manager: str = ""
    email: str = ""
    facts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Opportunity:
    """One deal of the export; `raw` is the line as it came."""

    line: int
    id: str
    agent: str
    product: str
    account: str
    stage: SourceStage
    engaged_on: date | None
    closed_on: date | None
    value: Decimal | None
    outcome_reason: str
    facts: dict[str, str]
    raw: dict[str, str]


@dataclass(frozen=True)
class _Row:
    """One line: its values by column, trimmed."""

    line: int
    values: dict[str, str]


@dataclass(frozen=True)
class Export:
    """A directory with an export and the mapping that explains it; what is noted goes to the report."""

    directory: Path
    mapping: HistoryMapping
    report: HistoryReport

    def check(self) -> None:
        """Raise ExportRefused unless every file is there and has the columns that the mapping names."""
        if not self.directory.is_dir():
            raise ExportRefused(f"There is no directory {self.directory}.")
        for source in self._sources():
            for _ in self._rows(source.file, source.wanted_columns()):
                break

    def accounts(self) -> Iterator[Account]:
        """The accounts; bad lines go to the report."""
        source = self.mapping.accounts
        if source is not None:
            yield from self._parsed(source, lambda row: self._account(row, source))

    def products(self) -> Iterator[Product]:
        """The products; bad lines go to the report."""
        source = self.mapping.products
        if source is not None:
            yield from self._parsed(source, lambda row: self._product(row, source))

    def team(self) -> Iterator[TeamMember]:
        """The salespeople; bad lines go to the report."""
        source = self.mapping.team
        if source is not None:
            yield from self._parsed(source, lambda row: self._member(row, source))

    def opportunities(self, *, today: date) -> Iterator[Opportunity]:
        """The opportunities; bad lines go to the report, such as dates after `today`."""
        source = self.mapping.opportunities
        yield from self._parsed(source, lambda row: self._opportunity(row, source, today))

    def opportunity_lines(self) -> int:
        """About how many opportunities there are, for a progress bar: the file's lines without the header."""
        with (self.directory / self.mapping.opportunities.file).open("rb") as file:
            return max(sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b"")) - 1, 0)

    def _sources(self) -> Iterator[AccountSource | ProductSource | TeamSource | OpportunitySource]:
        for source in (self.mapping.accounts, self.mapping.products, self.mapping.team, self.mapping.opportunities):
            if source is not None:
                yield source

    def _parsed(
        self, source: AccountSource | ProductSource | TeamSource | OpportunitySource, parse: Callable[[_Row], T]
    ) -> Iterator[T]:
        for row in self._rows(source.file, source.wanted_columns()):
            if isinstance(row, BadRow):
                self.report.skip(row)
                continue
            try:
                parsed = parse(row)
            except BadLine as bad:
                self.report.skip(BadRow(source.file, row.line, str(bad)))
            else:
                yield parsed

    def _rows(self, name: str, wanted: list[str]) -> Iterator[_Row | BadRow]:
        path = self.directory / name
        try:
            # Undecodable bytes travel as surrogates, so that only their own line is refused.
            with path.open(encoding=self.mapping.encoding, errors="surrogateescape", newline="") as file:
                reader = csv.reader(file, delimiter=self.mapping.delimiter, strict=True)
                header = self._header(name, reader, wanted)
                yield from self._body(name, reader, header)
        except OSError as error:
            raise ExportRefused(f"The file {path} cannot be read: {error.strerror or error}.") from error
        except UnicodeError as error:
            raise ExportRefused(f"The file {path} is not {self.mapping.encoding}: {error}.") from error

    def _header(self, name: str, reader: Any, wanted: list[str]) -> list[str]:
        try:
            header = [column.strip() for column in next(reader)]
        except StopIteration:
            raise ExportRefused(f"The file {name} is empty; it should begin with a line of column names.") from None
        except csv.Error as error:
            raise ExportRefused(f"The first line of {name} is no line of column names: {error}.") from error
        missing = [column for column in wanted if column not in header]
        if missing:
            raise ExportRefused(
                f"{name} has no column {', '.join(missing)}; it has: {', '.join(header)}. "
                "Name the right columns in a mapping file."
            )
        repeated = [column for column in wanted if header.count(column) > 1]
        if repeated:
            raise ExportRefused(f"{name} has the column {', '.join(repeated)} more than once.")
        return header

    def _body(self, name: str, reader: Any, header: list[str]) -> Iterator[_Row | BadRow]:
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield BadRow(name, line, f"This is no line of values: {error}.")
                continue
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                yield BadRow(name, line, f"There are {len(cells)} values for {len(header)} columns.")
                continue
            text = "".join(cells)
            if "\x00" in text or any("\udc80" <= character <= "\udcff" for character in text):
                yield BadRow(name, line, f"The line is not {self.mapping.encoding} text.")
                continue
            yield _Row(line, {column: cell.strip() for column, cell in zip(header, cells, strict=True)})

    def _account(self, row: _Row, source: AccountSource) -> Account:
        columns = source.columns
        name = self._required(row, columns.name, "name", 200)
        revenue = _amount(row, columns.annual_revenue, "revenue")
        if revenue is not None:
            revenue = _within_reach(revenue * source.revenue_unit, "revenue")
        employees = _amount(row, columns.employees, "number of employees")
        facts = _facts(row, source.attributes)
        country = self._value(row, source, "country")
        code = source.countries.get(country, country)
        if code and not _COUNTRY_CODE.fullmatch(code):
            facts["country"] = country
            self.report.resolve(f"{source.file}: country '{country}' has no code in the mapping; kept as a fact")
            code = ""
        return Account(
            line=row.line,
            name=name,
            domain=self._value(row, source, "domain").lower(),
            industry=self._value(row, source, "industry"),
            annual_revenue=revenue,
            employees=None if employees is None else int(employees),
            country=code,
            facts=facts,
        )

    def _product(self, row: _Row, source: ProductSource) -> Product:
        name = self._required(row, source.columns.name, "name", 120)
        price = _amount(row, source.columns.list_price, "list price")
        return Product(row.line, name, price, _facts(row, source.attributes))

    def _member(self, row: _Row, source: TeamSource) -> TeamMember:
        return TeamMember(
            line=row.line,
            name=self._required(row, source.columns.name, "name", 150),
            manager=self._value(row, source, "manager"),
            email=self._value(row, source, "email"),
            facts=_facts(row, source.attributes),
        )

    def _opportunity(self, row: _Row, source: OpportunitySource, today: date) -> Opportunity:
        columns = source.columns
        stage = self._stage(row, source)
        engaged_on = self._date(row, columns.engaged_on, today)
        closed_on = self._date(row, columns.closed_on, today)
        if engaged_on and closed_on and closed_on < engaged_on:
            raise BadLine(f"It was closed on {closed_on}, before it was engaged on {engaged_on}.")
        reason = row.values[columns.outcome_reason] if columns.outcome_reason else ""
        return Opportunity(
            line=row.line,
            id=self._required(row, columns.id, "id", 200),
            agent=self._value(row, source, "agent"),
            product=self._value(row, source, "product"),
            account=self._value(row, source, "account"),
            stage=stage,
            engaged_on=engaged_on,
            closed_on=closed_on,
            value=_amount(row, columns.value, "value"),
            outcome_reason=reason[:1000],
            facts=_facts(row, source.attributes),
            raw=row.values,
        )

    def _stage(self, row: _Row, source: OpportunitySource) -> SourceStage:
        given = row.values[source.columns.stage]
        stage = source.stages.get(given.casefold())
        if stage is None:
            known = ", ".join(source.stages)
            raise BadLine(f"The mapping knows no stage '{given}'; it knows: {known}.")
        return stage

    def _date(self, row: _Row, column: str, today: date) -> date | None:
        given = row.values[column]
        if not given:
            return None
        try:
            parsed = datetime.strptime(given, self.mapping.date_format).date()  # noqa: DTZ007  (a date, no instant)
        except ValueError:
            raise BadLine(f"'{given}' in {column} is no date of the form {self.mapping.date_format}.") from None
        if parsed > today:
            raise BadLine(f"The date {given} in {column} lies in the future.")
        return parsed

    def _required(self, row: _Row, column: str, what: str, longest: int) -> str:
        value = row.values[column]
        if not value:
            raise BadLine(f"The {what} in {column} is empty.")
        if len(value) > longest:
            raise BadLine(f"The {what} in {column} has {len(value)} characters; at most {longest} can be kept.")
        return value

    def _value(
        self, row: _Row, source: AccountSource | ProductSource | TeamSource | OpportunitySource, name: str
    ) -> str:
        """The value of an optional column in the spelling that the mapping prefers."""
        column = getattr(source.columns, name)
        if column is None:
            return ""
        given = row.values[column]
        preferred = source.aliases.get(name, {}).get(given)
        if preferred is None:
            longest = _LONGEST[name]
            if len(given) > longest:
                raise BadLine(f"The {name} in {column} has {len(given)} characters; at most {longest} can be kept.")
            return given
        self.report.resolve(f"{source.file}: {column} '{given}' is read as '{preferred}', as the mapping says")
        return preferred


def _facts(row: _Row, attributes: Mapping[str, str]) -> dict[str, str]:
    return {name: row.values[column] for name, column in attributes.items() if row.values[column]}


def _amount(row: _Row, column: str | None, what: str) -> Decimal | None:
    """A number of the export; None when the column or the value is not there."""
    given = row.values[column] if column else ""
    if not given:
        return None
    plain = given.lstrip("$€£ ").replace(",", "")
    try:
        amount = Decimal(plain)
    except InvalidOperation:
        raise BadLine(f"The {what} '{given}' is no number.") from None
    if not amount.is_finite() or amount < 0:
        raise BadLine(f"The {what} '{given}' is no amount.")
    return _within_reach(amount, what)


def _within_reach(amount: Decimal, what: str) -> Decimal:
    if amount >= _LARGEST_AMOUNT:
        raise BadLine(f"The {what} {amount} is larger than can be kept.")
    return amount.quantize(_CENT)
