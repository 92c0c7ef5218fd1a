"""Re-scores in tests: many scored signals, a profile that was edited, batches as workers do them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope
from spotlight.models import RescoreRun, Spotlight, SpotlightScore, SpotlightScoreChange
from spotlight.services import update_spotlight
from spotlight.services.rescores import Progress, rescore_batch, start_rescore
from spotlight.services.scoring import evaluate_items
from tests.spotlight.factories import open_spotlight, wish
from tests.workstream.factories import AT, CLERK, SignalFactory
from workstream.models import Signal

# Half of the weight is known of a signal of the industry, all of it once there is a budget.
WISHES = (
    wish("industry", "=", "Banking", field_type="text"),
    wish("budget", ">=", 100_000, field_type="number"),
)
BANK = {"industry": "Banking", "budget": 120_000}


def signals(org: Organization, number: int, **fields: Any) -> list[Signal]:
    """Signals of banks, oldest first, that nobody has scored."""
    fields = {"attributes": BANK, **fields}
    made: list[Signal] = SignalFactory.create_batch(number, org=org, **fields)
    return made


def profile(org: Organization, **fields: Any) -> Spotlight:
    return open_spotlight(org, WISHES, **fields)


def score(org: Organization, rows: list[Any], item_type: str = "signal", at: datetime = AT) -> None:
    """Score items as if they had just come."""
    ids = [row.pk for row in rows]
    evaluate_items(org=org, item_type=item_type, item_ids=ids, cause="new", actor=CLERK, at=at)


def ask_for(org: Organization, spotlight: Spotlight, budget: int, at: datetime = AT) -> Spotlight:
    """Edit the profile; signals of BANK meet 100,000 and not 1,000,000."""
    wishes = (WISHES[0], wish("budget", ">=", budget))
    return update_spotlight(org=org, spotlight_id=spotlight.pk, fields={}, criteria=wishes, actor=CLERK, at=at)


def start(org: Organization, **what: Any) -> RescoreRun:
    return start_rescore(org=org, **{"cause": "profile", "actor": CLERK, "at": AT, **what})


def work(org: Organization, run: RescoreRun, *, size: int = 500, at: datetime = AT) -> RescoreRun:
    """Every batch of a run, as one worker does them."""
    while rescore_batch(org=org, run_id=run.pk, at=at, size=size) is Progress.MORE:
        pass
    return fresh(org, run)


def worker(org: Organization, run: RescoreRun, *, size: int = 500) -> Callable[[], int]:
    """A worker that goes on until the run has ended; answers how many batches it did."""

    def go() -> int:
        batches = 0
        while fresh(org, run).status == "running":
            batches += rescore_batch(org=org, run_id=run.pk, at=AT, size=size) is not Progress.IDLE
        return batches

    return go


def fresh(org: Organization, run: RescoreRun) -> RescoreRun:
    with org_scope(org):
        found: RescoreRun = RescoreRun.objects.for_org(org).get(pk=run.pk)
        return found


def runs_of(org: Organization) -> list[RescoreRun]:
    """Every run of an organisation, oldest first."""
    with org_scope(org):
        return list(RescoreRun.objects.for_org(org).order_by("pk"))


def versions_of(org: Organization) -> dict[int, int]:
    """By signal: the version of the profile that its score is of."""
    with org_scope(org):
        rows = SpotlightScore.objects.for_org(org).filter(signal__isnull=False)
        return dict(rows.values_list("signal_id", "spotlight_version"))


def changes_of(org: Organization) -> list[tuple[int, str, int, int]]:
    """What history says of signals: signal, cause, version before and after, in the order of signals."""
    with org_scope(org):
        rows = SpotlightScoreChange.objects.for_org(org).filter(signal__isnull=False).order_by("signal_id", "pk")
        return list(rows.values_list("signal_id", "cause", "previous_version", "spotlight_version"))
