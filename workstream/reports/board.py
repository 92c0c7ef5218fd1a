"""The boards: one column per state, with exact counts and sums, and its cards read on by keyset.

A column is read in stretches, one after another. By priority: first the items in the order of the Today panel, then
the ones that the panel has not (or has not yet seen move here), soonest due first. By due date: one stretch. A closed
column is its latest arrivals first, in either order. Which column an item is in, what it counts and its badge come
from the item and its clocks themselves; only the order and the tier come from the panel's stored rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Any

from django.db import models
from django.db.models import Count, Exists, F, OuterRef, QuerySet, Sum, Value

from flowledger.api import keyset
from flowledger.tenancy.models import Organization
from workstream.machines import CLOSED_STAGES, CandidateStatus, machine_table, state_field
from workstream.models import Candidate, ItemTally, Pursuit, TodayItem
from workstream.models.today import Tier
from workstream.querysets import PANEL_ORDER

CENT = Decimal("0.01")


class Ordering(StrEnum):
    """The order of the cards of an open column."""

    PRIORITY = "priority"
    DUE_DATE = "due_date"


@dataclass(frozen=True)
class Board:
    """What a board is made of: a model with its machine, and the columns that its cards take from it."""

    model: type[Candidate] | type[Pursuit]
    state: str
    closed: frozenset[str]
    value: str
    due: str
    # Attributes of a card by their path on the model, beside those that every board has.
    more: dict[str, str]

    @property
    def item(self) -> str:
        """The name of a row: candidate or pursuit."""
        return str(self.model._meta.model_name)

    @property
    def states(self) -> list[str]:
        """Every state in the order of the machine."""
        return list(machine_table(self.model))

    @property
    def labels(self) -> dict[str, str]:
        """The name of each state as people read it."""
        return {str(value): str(label) for value, label in state_field(self.model).choices or ()}


CANDIDATES = Board(
    model=Candidate,
    state="status",
    closed=frozenset({CandidateStatus.PROMOTED, CandidateStatus.ARCHIVED}),
    value="estimated_value",
    due="next_step_due",
    more={"icp_band": "icp_band", "value_band": "value_band"},
)
PURSUITS = Board(
    model=Pursuit,
    state="stage",
    closed=frozenset(CLOSED_STAGES),
    value="forecast_value",
    due="due_date",
    more={
        "icp_band": "candidate__icp_band",
        "value_band": "candidate__value_band",
        "probability": "probability",
        "pink_done": "pink_done",
        "pink_required": "pink_required",
        "red_done": "red_done",
        "red_required": "red_required",
    },
)


@dataclass(frozen=True)
class Sums:
    """What the items of a column are worth in one currency; `weighted` by probability, where items have one."""

    currency: str
    value: Decimal
    weighted: Decimal | None


@dataclass(frozen=True)
class Card:
    """One item on a board."""

    item_id: int
    label: str
    client_id: int | None
    client_name: str | None
    value: Decimal | None
    currency: str
    owner_id: int | None
    owner_name: str | None
    badge: str
    tier: str | None
    due: date | None
    last_touch_at: datetime
    days_since_touch: int
    tags: list[str]
    icp_band: str | None
    value_band: str
    row_version: int
    probability: Decimal | None = None
    checklist: dict[str, dict[str, int]] | None = None


@dataclass(frozen=True)
class Place:
    """Where the reading of a column stands: a stretch of it and the last row's values in the stretch's order."""

    stretch: str
    values: tuple[Any, ...]


@dataclass
class Column:
    """One state of a board. `next` is where the cards go on; None when these were the last."""

    state: str
    label: str
    is_closed: bool
    allowed: list[str]
    count: int = 0
    sums: list[Sums] = field(default_factory=list)
    cards: list[Card] = field(default_factory=list)
    next: Place | None = None


def board_columns(
    board: Board,
    *,
    org: Organization,
    rows: QuerySet[Any],
    states: Sequence[str],
    ordering: Ordering,
    limit: int,
    after: Place | None = None,
    whole: bool = False,
    at: datetime,
) -> list[Column]:
    """The named columns over the organisation's `rows`, with at most `limit` cards each.

    `after` reads a single column on. `whole` says that `rows` leaves nothing out, so that counts and sums need not be
    taken from the rows. A handful of statements, whatever the number of columns and rows.
    """
    machine, labels = machine_table(board.model), board.labels
    columns = {
        state: Column(state, labels[state], state in board.closed, sorted(machine[state]))
        for state in board.states
        if state in states
    }
    _count(board, _tallied(board, org) if whole else _counted(board, rows, columns), columns)
    if after is not None:
        (state,) = columns
        keys = {state: _read_on(board, org, rows, state, ordering, after, limit + 1)}
    else:
        keys = _read_first(board, org, rows, list(columns), ordering, limit + 1)
    cards = _cards(board, org, [key.item_id for found in keys.values() for key in found[:limit]], at=at)
    for state, found in keys.items():
        columns[state].cards = [cards[key.item_id] for key in found[:limit] if key.item_id in cards]
        if len(found) > limit:
            columns[state].next = found[limit - 1].place
    return list(columns.values())


def place_from_json(board: Board, stretch: str, values: Sequence[Any]) -> Place:
    """The place that a cursor names. Raises KeyError, ValueError, TypeError or ValidationError when it is none."""
    order = STRETCHES[stretch].order(board)
    restored = [keyset.from_json(column, value) for column, value in zip(order, values, strict=True)]
    return Place(stretch, tuple(restored))


def place_to_json(place: Place) -> list[Any]:
    """The values of a place, for a cursor."""
    return [keyset.to_json(value) for value in place.values]


# Counts --------------------------------------------------------------------------------------------------------


def _count(board: Board, groups: Iterable[dict[str, Any]], columns: dict[str, Column]) -> None:
    """Count and add up the columns from groups by state and currency."""
    for group in sorted(groups, key=lambda group: str(group["currency"])):
        column = columns.get(str(group["state"]))
        if column is None:
            continue
        column.count += group["items"]
        if group["items_valued"]:
            weighted = group["worth_weighted"].quantize(CENT, ROUND_HALF_UP) if "probability" in board.more else None
            column.sums.append(Sums(group["currency"], group["worth"], weighted))


def _tallied(board: Board, org: Organization) -> Iterable[dict[str, Any]]:
    """The groups of all the organisation's items, from the tallies: exact, and as new as the rows themselves."""
    found: Iterable[dict[str, Any]] = (
        ItemTally.objects.for_org(org).filter(item_type=board.item).totals("state", "currency")
    )
    return found


def _counted(board: Board, rows: QuerySet[Any], columns: Iterable[str]) -> Iterable[dict[str, Any]]:
    """The groups of these rows, counted in one statement."""
    weighted = Sum(F(board.value) * (F("probability") if "probability" in board.more else Value(0)))
    found = rows.filter(**{f"{board.state}__in": list(columns)}).order_by()
    groups: Iterable[dict[str, Any]] = found.values("currency", state=F(board.state)).annotate(
        items=Count("pk"), items_valued=Count(board.value), worth=Sum(board.value), worth_weighted=weighted
    )
    return groups


# Order ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Key:
    """An item of a column and its place there."""

    item_id: int
    place: Place


@dataclass(frozen=True)
class Stretch:
    """A part of a column with one order: which rows, and by which columns. Each is the walk of an index."""

    name: str
    # (board, organisation, filtered rows, state) → rows of the item, or of the panel
    rows: Callable[[Board, Organization, QuerySet[Any], str], QuerySet[Any]]
    terms: Callable[[Board], tuple[str, ...]]
    of_panel: bool = False

    def order(self, board: Board) -> list[keyset.Column]:
        """The columns of the order, the last of them a key."""
        model: Any = TodayItem if self.of_panel else board.model
        found = keyset.order_of(model.all_orgs.none().order_by(*self.terms(board)))
        # The database computes the panel's place for a due date, and it is never NULL.
        return [
            replace(column, field=models.DateField(), nullable=False) if column.path == "due_order" else column
            for column in found
        ]

    def keys(self, board: Board, org: Organization, rows: QuerySet[Any], state: str) -> QuerySet[Any]:
        """Rows of (state, item, places …) in order."""
        order = self.order(board)
        places = {f"place_{number}": F(column.path) for number, column in enumerate(order)}
        item_key = F(f"{board.item}_id" if self.of_panel else "pk")
        found = keyset.in_order(self.rows(board, org, rows, state), order).annotate(
            of_state=Value(state), item_key=item_key, **places
        )
        keys: QuerySet[Any, Any] = found.values_list("of_state", "item_key", *places)
        return keys

    def key(self, row: Sequence[Any]) -> Key:
        """The item and its place from such a row."""
        return Key(row[1], Place(self.name, tuple(row[2:])))


def _in_state(board: Board, org: Organization, rows: QuerySet[Any], state: str) -> QuerySet[Any]:
    return rows.filter(**{board.state: state})


def _on_panel(board: Board, org: Organization, rows: QuerySet[Any], state: str) -> QuerySet[Any]:
    """Items as the panel ranks them, snoozed ones with them: a board shows everything."""
    here = _in_state(board, org, rows, state).order_by().values("pk")
    found: QuerySet[Any] = TodayItem.objects.for_org(org).filter(state=state, **{f"{board.item}__in": here})
    return found


def _beside_panel(board: Board, org: Organization, rows: QuerySet[Any], state: str) -> QuerySet[Any]:
    """The others: those that the panel has not, or still ranks in the state that they have just left."""
    ranked = TodayItem.objects.for_org(org).filter(state=state, **{board.item: OuterRef("pk")})
    return _in_state(board, org, rows, state).filter(~Exists(ranked))


STRETCHES = {
    stretch.name: stretch
    for stretch in (
        Stretch("panel", _on_panel, lambda board: PANEL_ORDER, of_panel=True),
        Stretch("rest", _beside_panel, lambda board: (board.due, "pk")),
        Stretch("due", _in_state, lambda board: (board.due, "pk")),
        Stretch("arrival", _in_state, lambda board: ("-state_entered_at", "-pk")),
    )
}
OPEN_ORDERS = {Ordering.PRIORITY: ("panel", "rest"), Ordering.DUE_DATE: ("due",)}


def stretches_of(board: Board, state: str, ordering: Ordering) -> tuple[str, ...]:
    """The stretches that a column is read in, in their order."""
    return ("arrival",) if state in board.closed else OPEN_ORDERS[ordering]


def _read_first(
    board: Board, org: Organization, rows: QuerySet[Any], states: Sequence[str], ordering: Ordering, count: int
) -> dict[str, list[Key]]:
    """The first keys of every column: one statement per kind of stretch, a later stretch for the columns it tops up."""
    found: dict[str, list[Key]] = {state: [] for state in states}
    for name, stretch in STRETCHES.items():
        short = [
            state for state in states if name in stretches_of(board, state, ordering) and len(found[state]) < count
        ]
        if short:
            parts = [stretch.keys(board, org, rows, state)[: count - len(found[state])] for state in short]
            for row in parts[0].union(*parts[1:], all=True) if len(parts) > 1 else parts[0]:
                found[row[0]].append(stretch.key(row))
    return found


def _read_on(
    board: Board,
    org: Organization,
    rows: QuerySet[Any],
    state: str,
    ordering: Ordering,
    after: Place,
    count: int,
) -> list[Key]:
    """The keys of one column that follow a place."""
    names = stretches_of(board, state, ordering)
    found: list[Key] = []
    for name in names[names.index(after.stretch) :]:
        stretch = STRETCHES[name]
        keys = stretch.keys(board, org, rows, state)
        segments: Iterable[QuerySet[Any]] = [keys]
        if name == after.stretch:
            segments = keyset.segments_after(keys, stretch.order(board), after.values)
        for segment in segments:
            if len(found) < count:
                found += [stretch.key(row) for row in segment[: count - len(found)]]
    return found


# Cards ---------------------------------------------------------------------------------------------------------


def _cards(board: Board, org: Organization, ids: Sequence[int], *, at: datetime) -> dict[int, Card]:
    """What the cards show, by item, in one statement."""
    if not ids:
        return {}
    columns = {
        "client_name": "client__name",
        "owner_name": "owner__username",
        "card_value": board.value,
        "card_due": board.due,
        **{f"card_{name}": path for name, path in board.more.items()},
    }
    rows = board.model.objects.for_org(org).filter(pk__in=ids).for_cards()
    return {
        row["pk"]: _card(row, at)
        for row in rows.values(
            "pk",
            "title",
            "client_id",
            "owner_id",
            "currency",
            "last_touch_at",
            "row_version",
            "sla_badge",
            "tier",
            "tag_names",
            **{name: F(path) for name, path in columns.items()},
        )
    }


def _card(row: dict[str, Any], at: datetime) -> Card:
    progress = None
    if "card_pink_done" in row:
        progress = Pursuit(
            **{name: row[f"card_{name}"] for name in ("pink_done", "pink_required", "red_done", "red_required")}
        ).checklist_progress
    return Card(
        item_id=row["pk"],
        label=row["title"],
        client_id=row["client_id"],
        client_name=row["client_name"],
        value=row["card_value"],
        currency=row["currency"],
        owner_id=row["owner_id"],
        owner_name=row["owner_name"],
        badge=row["sla_badge"],
        tier=None if row["tier"] is None else Tier(row["tier"]).label,
        due=row["card_due"],
        last_touch_at=row["last_touch_at"],
        days_since_touch=max((at - row["last_touch_at"]).days, 0),
        tags=row["tag_names"],
        icp_band=row["card_icp_band"] or None,
        value_band=row["card_value_band"],
        row_version=row["row_version"],
        probability=row.get("card_probability"),
        checklist=progress,
    )
