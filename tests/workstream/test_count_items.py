"""Tallies: at every moment what a count would find, whoever writes, rolls back or folds."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from django.db import connection, models, transaction
from django.db.models import Count, F, Sum

from flowledger.tenancy.scope import org_scope, system_scope
from tests.workstream.factories import AT, CLERK, CandidateFactory, PursuitFactory, SignalFactory, open_candidate
from workstream import services, tasks
from workstream.models import Candidate, ItemTally, Pursuit, Signal
from workstream.services.tallies import fold_tallies


def tallied(org: Any, item: str) -> dict[tuple[str, str], tuple[Any, ...]]:
    """(state, currency) → (count, valued, value, weighted) as the tallies have it."""
    rows = ItemTally.all_orgs.filter(org=org, item_type=item).totals("state", "currency")
    return {
        (row["state"], row["currency"]): (row["items"], row["items_valued"], row["worth"], row["worth_weighted"])
        for row in rows
    }


def counted(org: Any, item: str) -> dict[tuple[str, str], tuple[Any, ...]]:
    """The same, counted."""
    if item == "signal":
        count = Signal.all_orgs.filter(org=org).count()
        return {("", ""): (count, 0, 0, 0)} if count else {}
    model: Any = {"candidate": Candidate, "pursuit": Pursuit}[item]
    state, value = ("status", "estimated_value") if item == "candidate" else ("stage", "forecast_value")
    weighted = F("forecast_value") * F("probability") if item == "pursuit" else models.Value(Decimal(0))
    rows = (
        model.all_orgs.filter(org=org)
        .order_by()
        .values(state, "currency")
        .annotate(n=Count("pk"), valued=Count(value), worth=Sum(value), heavy=Sum(weighted))
    )
    return {
        (row[state], row["currency"]): (row["n"], row["valued"], row["worth"] or 0, row["heavy"] or 0) for row in rows
    }


def assert_exact(org: Any) -> None:
    for item in ("signal", "candidate", "pursuit"):
        assert tallied(org, item) == counted(org, item)


@pytest.mark.django_db
class TestCountItems:
    def test_follows_creation_moves_values_and_removal(self, org):
        assert tallied(org, "candidate") == {}
        SignalFactory.create_batch(3, org=org)
        candidate = open_candidate(org, estimated_value=Decimal("12.50"), currency="EUR")
        keys: dict[str, Any] = {"org": org, "candidate_id": candidate.pk, "actor": CLERK, "at": AT}
        assert tallied(org, "candidate") == {("new", "EUR"): (1, 1, Decimal("12.50"), 0)}
        services.triage_candidate(**keys)
        services.update_candidate(fields={"estimated_value": None}, **keys)
        assert tallied(org, "candidate") == {("triaged", "EUR"): (1, 0, 0, 0)}
        pursuit = services.promote_candidate(fields={"forecast_value": Decimal("100.01")}, **keys).pursuit
        Pursuit.all_orgs.filter(pk=pursuit.pk).update(probability=Decimal("0.33"))
        assert tallied(org, "pursuit") == {("qual", "EUR"): (1, 1, Decimal("100.01"), Decimal("33.0033"))}
        assert_exact(org)
        Signal.all_orgs.filter(org=org).delete()
        assert tallied(org, "signal") == {}

    def test_follows_statements_over_many_rows(self, org, other_org):
        made = Candidate.all_orgs.bulk_create(
            Candidate(
                org=where,
                title="A",
                estimated_value=number,
                currency="EUR" if number % 2 else "USD",
                state_entered_at=AT,
                last_touch_at=AT,
            )
            for where in (org, other_org)
            for number in range(20)
        )
        Candidate.all_orgs.filter(pk__in=[row.pk for row in made[5:25]]).update(estimated_value=7, currency="GBP")
        Candidate.all_orgs.filter(pk__in=[row.pk for row in made[::3]]).delete()

        assert_exact(org)
        assert_exact(other_org)

    def test_an_untouched_group_is_not_written_to(self, org):
        candidate = open_candidate(org)
        before = ItemTally.all_orgs.filter(org=org).count()

        Candidate.all_orgs.filter(pk=candidate.pk).update(title="Another", last_touch_at=AT)

        assert ItemTally.all_orgs.filter(org=org).count() == before

    def test_what_is_rolled_back_was_never_counted(self, org):
        CandidateFactory(org=org)
        with transaction.atomic():
            CandidateFactory.create_batch(4, org=org)
            transaction.set_rollback(True)

        assert tallied(org, "candidate") == {("new", "USD"): (1, 0, 0, 0)}

    def test_folding_keeps_the_sums_in_few_rows(self, org, other_org):
        chance = Random(3)
        for number in range(60):
            row = PursuitFactory(org=org, forecast_value=Decimal(chance.randrange(10_000)) / 100)
            if number % 3 == 0:
                Pursuit.all_orgs.filter(pk=row.pk).delete()
        CandidateFactory(org=other_org)
        before = {item: tallied(org, item) for item in ("candidate", "pursuit")}

        fold_tallies(org_id=org.pk)

        assert {item: tallied(org, item) for item in before} == before
        assert_exact(org)
        assert ItemTally.all_orgs.filter(org=org).count() == 2
        assert ItemTally.all_orgs.filter(org=other_org).count() == 1

    def test_the_stats_come_from_them(self, org, other_org, as_viewer):
        SignalFactory.create_batch(2, org=org)
        CandidateFactory(org=org)
        PursuitFactory(org=other_org)
        Candidate.all_orgs.filter(org=org).update(created_at=AT.replace(year=2020))

        assert as_viewer.get("/api/workstream/stats").json() == {
            "signals": {"total": 2, "recent": 2},
            "candidates": {"total": 1, "recent": 0},
            "pursuits": {"total": 0, "recent": 0},
        }


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("transactional_db")
class TestAtTheSameTime:
    def test_readers_writers_and_folds_agree_in_every_snapshot(self, org):
        rounds = 25

        def write(seed: int) -> None:
            chance = Random(seed)
            try:
                for _ in range(rounds):
                    with org_scope(org), transaction.atomic():
                        row = CandidateFactory(org=org, estimated_value=chance.randrange(100), client=None)
                        Candidate.all_orgs.filter(pk=row.pk).update(estimated_value=chance.randrange(100))
                        if chance.random() < 0.4:
                            Candidate.all_orgs.filter(pk=row.pk).delete()
                        if chance.random() < 0.3:
                            transaction.set_rollback(True)
            finally:
                connection.close()

        def fold() -> None:
            try:
                for _ in range(rounds):
                    with org_scope(org):
                        fold_tallies(org_id=org.pk)
            finally:
                connection.close()

        def read() -> int:
            seen = 0
            try:
                for _ in range(rounds):
                    with transaction.atomic():
                        with connection.cursor() as cursor:
                            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                        with system_scope("tests"):
                            assert tallied(org, "candidate") == counted(org, "candidate")
                            seen += 1
            finally:
                connection.close()
            return seen

        with ThreadPoolExecutor(6) as pool:
            jobs: list[Any] = [pool.submit(write, seed) for seed in range(3)]
            jobs += [pool.submit(fold), pool.submit(fold)]
            reader = pool.submit(read)
            for job in jobs:
                job.result(timeout=120)
            assert reader.result(timeout=120) == rounds

        with system_scope("tests"):
            assert counted(org, "candidate")
            assert_exact(org)

    def test_the_task_folds_what_is_scattered(self, org, other_org, monkeypatch):
        monkeypatch.setattr("workstream.tasks.WORTH_FOLDING", 5)
        with system_scope("tests"):
            CandidateFactory.create_batch(6, org=org, client=None)
            CandidateFactory.create_batch(5, org=other_org, client=None)

        assert tasks.fold_item_tallies() == 1

        with system_scope("tests"):
            assert ItemTally.all_orgs.filter(org=org).count() == 1
            assert ItemTally.all_orgs.filter(org=other_org).count() == 5
            assert_exact(org)
