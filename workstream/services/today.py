"""Use cases of the Today panel: its rows follow the items and their clocks, and an item can be put off."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from django.apps import apps
from django.db import transaction
from django.db.models import F

from flowledger.errors import InvalidInput, NotFound
from flowledger.outbox.recording import record_event
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.scope import org_scope
from flowledger.tenancy.usecases import use_case
from workstream import events
from workstream.models import Candidate, Pursuit, TodayItem
from workstream.models.today import no_counts, panel_place
from workstream.ranking import ranking_of
from workstream.sql import today as sql

LISTED_MODELS = {"candidate": "workstream.Candidate", "pursuit": "workstream.Pursuit"}
# Items per statement: few round trips, and the panel is locked for a moment only.
SLICE = 1000
_PANEL = Actor.system("today panel")


def refresh_today(
    *, org: Organization, candidate_ids: Iterable[int], pursuit_ids: Iterable[int], at: datetime
) -> sql.Refreshed:
    """Make, change or remove the panel's rows of these items, and the penalties that move with them.

    Reads nothing but these items and at most a dozen further rows of each owner; again does nothing. One refresh of
    an organisation at a time: the lock is held until the surrounding transaction ends. The panel's version grows when
    a row changed. When the weights are others than those behind the rows, `today.outdated` has all of them computed
    anew.
    """
    ranking = ranking_of(org)
    with org_scope(org), transaction.atomic():
        known = sql.lock_panel(org_id=org.pk)
        found = sql.refresh_rows(
            org_id=org.pk,
            candidate_ids=sorted(set(candidate_ids)),
            pursuit_ids=sorted(set(pursuit_ids)),
            weights=ranking.as_json,
            counted=ranking.counted_items,
            at=at,
        )
        is_outdated = known is not None and known != ranking.fingerprint
        if found.anything or is_outdated:
            sql.advance_version(org_id=org.pk, steps=found.steps, ranking=ranking.fingerprint, at=at)
        if is_outdated:
            record_event(org=org, event=events.TodayOutdated(after_id=0), actor=_PANEL, at=at)
    return found


def follow_clients(*, org: Organization, client_ids: Sequence[int], at: datetime) -> int:
    """Let the panel's rows of these clients' items name them as they are called now, slice by slice.

    For after a merge and its undo, which move items without telling of each. Answers how many rows changed.
    """
    moved = 0
    with org_scope(org), transaction.atomic():
        for kind in LISTED_MODELS:
            rows = TodayItem.objects.for_org(org).filter(**{f"{kind}__client__in": client_ids})
            behind = rows.exclude(client_name=F(f"{kind}__client__name")).order_by("pk")
            ids = list(behind.values_list(kind, flat=True))
            for start in range(0, len(ids), SLICE):
                wanted = {"candidate_ids": [], "pursuit_ids": [], f"{kind}_ids": ids[start : start + SLICE]}
                moved += refresh_today(org=org, **wanted, at=at).changed
    return moved


def recompute_today(*, org: Organization, after_id: int, at: datetime) -> int | None:
    """Compute a slice of the rows that are there anew, those behind the row `after_id`; answers the last one's id.

    None when there is nothing further.
    """
    with org_scope(org), transaction.atomic():
        rows = TodayItem.objects.for_org(org).filter(pk__gt=after_id).order_by("pk")
        found = list(rows.values_list("pk", "candidate_id", "pursuit_id")[:SLICE])
        refresh_today(
            org=org,
            candidate_ids=[candidate for _, candidate, _ in found if candidate is not None],
            pursuit_ids=[pursuit for _, _, pursuit in found if pursuit is not None],
            at=at,
        )
    return found[-1][0] if len(found) == SLICE else None


def rebuild_today(
    *,
    org: Organization,
    at: datetime,
    after: tuple[str, int] = ("candidate", 0),
    progressed: Callable[[tuple[str, int]], object] = lambda place: None,
) -> int:
    """Compute the whole panel from the items themselves, slice by slice, each in a transaction of its own.

    For the time after a restore, for imports without a worker, and for whoever doubts the panel: what is right
    already is left as it is. `progressed` is told the place after every slice; started with `after` it goes on from
    there. Answers how many rows were added, changed or removed.
    """
    models = {"candidate": Candidate, "pursuit": Pursuit}
    kinds = list(models)
    moved = 0
    for kind in kinds[kinds.index(after[0]) :]:
        place = after[1] if kind == after[0] else 0
        while True:
            with org_scope(org), transaction.atomic():
                rows = models[kind].objects.for_org(org).filter(pk__gt=place).order_by("pk")
                ids = list(rows.values_list("pk", flat=True)[:SLICE])
                wanted = {"candidate_ids": [], "pursuit_ids": [], f"{kind}_ids": ids}
                found = refresh_today(org=org, **wanted, at=at)
            if not ids:
                break
            moved += found.added + found.changed + found.removed
            place = ids[-1]
            progressed((kind, place))
    with org_scope(org), transaction.atomic():
        sql.lock_panel(org_id=org.pk)
        sql.recount(org_id=org.pk, at=at)
    return moved


@use_case
def snooze_item(
    *, org: Organization, item_type: str, item_id: int, until: datetime | None, actor: Actor, at: datetime
) -> TodayItem:
    """Put an item off the panel until a time, or (`until` None) bring it back now; the same again changes nothing.

    Raises InvalidInput for an unknown type, NotFound for an item that does not exist or is not on the panel,
    PermissionRefused, then InvalidInput for a time that does not lie in the future.
    """
    label = LISTED_MODELS.get(item_type)
    if label is None:
        sentence = f"There is no item type '{item_type}' on the panel; choose from: {', '.join(LISTED_MODELS)}."
        raise InvalidInput(sentence, fields={"item_type": [sentence]})
    item = apps.get_model(label).objects.for_org(org).fetch(item_id)
    authorize(actor, "snooze", item)
    if until is not None and until <= at:
        sentence = "The time until which the item is put off must lie in the future."
        raise InvalidInput(sentence, fields={"until": [sentence]})
    sql.lock_panel(org_id=org.pk)
    row: TodayItem | None = TodayItem.objects.for_org(org).locked().filter(**{item_type: item}).first()
    if row is None:
        raise NotFound(f"This {item_type} is not on the Today panel.")
    if row.snoozed_until == until:
        return row
    steps = no_counts()
    steps[panel_place(row.badge, row.tier)] = (until is None) - (row.snoozed_until is None)
    row.snoozed_until = until
    row.save(update_fields=["snoozed_until"])
    sql.advance_version(org_id=org.pk, steps=steps, at=at)
    snoozed = events.TodaySnoozed(
        item_type=item_type, item_id=item_id, until=None if until is None else until.isoformat()
    )
    record_event(org=org, event=snoozed, actor=actor, at=at)
    return row


@use_case
def end_snoozes(*, org: Organization, actor: Actor, at: datetime) -> int:
    """Bring back what was put off until now; answers how many rows came back. For the sweep."""
    authorize(actor, "snooze")
    sql.lock_panel(org_id=org.pk)
    rows = TodayItem.objects.for_org(org).awake(at=at)
    steps = no_counts()
    due = list(rows.values_list("pk", "badge", "tier"))
    for _, badge, tier in due:
        steps[panel_place(badge, tier)] += 1
    if due:
        TodayItem.objects.for_org(org).filter(pk__in=[pk for pk, _, _ in due]).update(snoozed_until=None)
        sql.advance_version(org_id=org.pk, steps=steps, at=at)
    return len(due)
