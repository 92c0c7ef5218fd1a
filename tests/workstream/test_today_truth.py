"""The panel and the clocks tell one truth, whatever happens, in whatever order, and whoever else is writing."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from flowledger.errors import FlowLedgerError
from flowledger.outbox.drain import drain_all
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope, system_scope
from tests.factories import MembershipFactory
from tests.workstream.factories import AT, CLERK, CandidateFactory, complete_checklist, open_candidate, open_pursuit
from tests.workstream.panel import badges_by_the_clocks, counted, kept_counts, refresh, row_of, version_of
from tests.workstream.trail import at_once
from workstream import services
from workstream.machines import PursuitStage
from workstream.models import Candidate, Proposal, Pursuit, TodayItem
from workstream.models.today import Badge
from workstream.services.sla_sweep import sweep
from workstream.services.today import refresh_today

HOUR = timedelta(hours=1)


class World:
    """An organisation in which anything may happen next."""

    def __init__(self, org: Organization, seed: int) -> None:
        self.org = org
        self.chance = random.Random(seed)
        self.at = AT
        self.people = [None, *(MembershipFactory(org=org).user for _ in range(2))]

    def keys(self) -> dict[str, Any]:
        return {"org": self.org, "actor": CLERK, "at": self.at}

    def some(self, model: Any) -> Any:
        return self.chance.choice(list(model.all_orgs.filter(org=self.org).order_by("pk")))

    def open(self) -> None:
        open_candidate(self.org, at=self.at, owner=self.chance.choice(self.people))

    def move_candidate(self) -> None:
        pk = self.some(Candidate).pk
        verb: Callable[..., Any] = self.chance.choice(
            [
                services.triage_candidate,
                services.nurture_candidate,
                services.promote_candidate,
                lambda **keys: services.hold_candidate(**keys, reason="Later"),
                lambda **keys: services.archive_candidate(**keys, reason="No need"),
            ]
        )
        verb(candidate_id=pk, **self.keys())

    def move_pursuit(self) -> None:
        pursuit = self.some(Pursuit)
        complete_checklist(pursuit, self.chance.choice(["pink", "red"]), at=self.at)
        stage = self.chance.choice(list(PursuitStage))
        services.move_pursuit(pursuit_id=pursuit.pk, stage=stage, reason="So they said", **self.keys())

    def send(self) -> None:
        services.send_proposal(proposal_id=self.some(Proposal).pk, **self.keys())

    def hear(self) -> None:
        item = self.some(self.chance.choice([Candidate, Pursuit]))
        services.log_activity(
            item_type=item._meta.model_name,
            item_id=item.pk,
            kind="call",
            direction=self.chance.choice(["inbound", "outbound"]),
            summary="A call",
            **self.keys(),
        )

    def edit(self) -> None:
        day = (self.at + timedelta(days=self.chance.randint(-3, 9))).date()
        owner = self.chance.choice(self.people)
        if self.chance.random() < 0.5:
            fields = {"owner": owner, "next_step_due": self.chance.choice([None, day])}
            services.update_candidate(candidate_id=self.some(Candidate).pk, fields=fields, **self.keys())
        else:
            fields = {"owner": owner, "due_date": day}
            services.update_pursuit(pursuit_id=self.some(Pursuit).pk, fields=fields, **self.keys())

    def snooze(self) -> None:
        row = self.chance.choice(list(TodayItem.all_orgs.filter(org=self.org).order_by("pk")))
        until = self.chance.choice([None, self.at + timedelta(days=1)])
        services.snooze_item(item_type=row.item_type, item_id=row.item_id, until=until, **self.keys())

    def pass_time(self) -> None:
        self.at += HOUR * self.chance.choice([1, 7, 20, 50, 80])
        sweep(at=self.at)
        services.end_snoozes(**self.keys())

    def step(self) -> None:
        deeds = [self.open, self.move_candidate, self.move_pursuit, self.send, self.hear, self.edit]
        deed = self.chance.choice([*deeds, self.snooze, self.pass_time, self.pass_time])
        # Refused, or nothing there to do it with: nothing has happened.
        with suppress(FlowLedgerError, IndexError):
            deed()


@pytest.mark.django_db
class TestOneTruth:
    @pytest.mark.parametrize("seed", range(4))
    def test_the_panel_says_what_the_clocks_say(self, org, seed):
        world = World(org, seed)
        for _ in range(3):
            world.open()
            open_pursuit(org, at=world.at)
        seen: set[int] = set()
        for _ in range(12):
            for _ in range(4):
                world.step()
            drain_all()
            rows = list(TodayItem.all_orgs.filter(org=org))
            seen |= {row.badge for row in rows}
            found = {(row.item_type, row.item_id): Badge(row.badge).label for row in rows}
            assert found == badges_by_the_clocks(org)
            assert kept_counts(org) == counted(org)
            for owner in world.people[1:]:
                mine = [row.workload_penalty for row in rows if row.owner_id == owner.pk]
                assert set(mine) <= {min(20, 2 * (len(mine) - 1))}
            assert all(row.workload_penalty == 0 for row in rows if row.owner_id is None)
        assert seen == set(Badge), "the walk must come by every badge, or it shows little"


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("transactional_db")
class TestAtTheSameTime:
    @pytest.fixture
    def people(self, org) -> list[Any]:
        with system_scope("tests"):
            return [MembershipFactory(org=org).user for _ in range(2)]

    def listed(self, org: Organization, number: int, **fields: Any) -> list[Candidate]:
        with system_scope("tests"):
            return CandidateFactory.create_batch(number, org=org, status="triaged", **fields)

    def penalties(self, org: Organization, **fields: Any) -> set[int]:
        with system_scope("tests"):
            rows = TodayItem.all_orgs.filter(org=org, **fields)
            assert kept_counts(org) == counted(org)
            return set(rows.values_list("workload_penalty", flat=True))

    def test_two_refreshes_of_the_same_items_make_one_row_each(self, org, people):
        keys = [item.pk for item in self.listed(org, 20, owner=people[0])]

        def deed(order: list[int]) -> Callable[[], Any]:
            return lambda: refresh_today(org=org, candidate_ids=order, pursuit_ids=[], at=AT)

        found = at_once(deed(keys), deed(keys[::-1]), deed(keys[:10]), deed(keys[10:]))

        assert sum(each.added for each in found) == 20
        assert self.penalties(org) == {20}
        with org_scope(org):
            assert TodayItem.objects.for_org(org).count() == 20

    def test_items_of_one_owner_from_many_sides_count_each_other(self, org, people):
        items = self.listed(org, 6, owner=people[0])

        found = at_once(*(partial(refresh, item) for item in items))

        assert [each.added for each in found] == [1] * 6
        assert self.penalties(org) == {10}
        with org_scope(org):
            assert version_of(org) == 6

    def test_owners_that_change_crosswise(self, org, people):
        rita, carl = people
        hers, his = self.listed(org, 4, owner=rita), self.listed(org, 2, owner=carl)
        refresh(*hers, *his)

        def give(item: Candidate, owner: Any) -> Callable[[], Any]:
            def deed() -> Any:
                services.update_candidate(
                    org=org, candidate_id=item.pk, fields={"owner": owner}, actor=CLERK, at=AT + HOUR
                )
                return refresh(item)

            return deed

        found = at_once(give(hers[0], carl), give(his[0], rita), give(hers[1], carl), give(hers[2], None))

        assert [each.changed for each in found] == [1] * 4
        with system_scope("tests"):
            owned = [TodayItem.all_orgs.filter(org=org, owner=who).count() for who in (rita, carl, None)]
        assert owned == [2, 3, 1]
        assert self.penalties(org, owner=rita) == {2}
        assert self.penalties(org, owner=carl) == {4}
        assert self.penalties(org, owner=None) == {0}

    def test_a_snooze_survives_a_refresh_beside_it(self, org):
        items = self.listed(org, 6)
        refresh(*items)
        until = AT + timedelta(days=2)

        def move() -> Any:
            with org_scope(org):
                Candidate.objects.for_org(org).update(value_band="high")
            return refresh(*items)

        def snooze(item: Candidate) -> Callable[[], Any]:
            return lambda: services.snooze_item(
                org=org, item_type="candidate", item_id=item.pk, until=until, actor=CLERK, at=AT
            )

        found = at_once(move, snooze(items[0]), snooze(items[1]))

        assert found[0].changed == 6
        with system_scope("tests"):
            assert [row_of(item).snoozed_until for item in items] == [until, until, *[None] * 4]
            assert {row_of(item).value_points for item in items} == {30}
            assert kept_counts(org) == counted(org)

    def test_another_organisation_does_not_wait(self, org, other_org):
        (mine,), (theirs,) = self.listed(org, 1), self.listed(other_org, 1)
        with org_scope(org):
            refresh(mine)
            # The panel of `org` is locked until this scope ends.
            (found,) = at_once(partial(refresh, theirs))
        assert found.added == 1
