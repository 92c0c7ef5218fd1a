"""The rows of the Today panel follow the items and their clocks: which items, which badge, which points, which tier."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from flowledger.configuration import services as configuration
from flowledger.outbox.drain import drain_all
from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.scope import org_scope
from tests.factories import MembershipFactory
from tests.queries import counted_queries
from tests.workstream.factories import (
    AT,
    CLERK,
    CandidateFactory,
    ClientFactory,
    PursuitFactory,
    complete_checklist,
    open_candidate,
    open_pursuit,
)
from tests.workstream.panel import (
    badges_by_the_clocks,
    breach,
    counted,
    is_listed,
    kept_counts,
    refresh,
    row_of,
    version_of,
    warn,
)
from tests.workstream.test_react_to_events import delivered
from workstream import services
from workstream.handlers import refresh_today as refresh_panel
from workstream.machines import PursuitStage
from workstream.models import Candidate, SlaRule, TodayItem, TodayVersion
from workstream.models.sla import SlaMetric
from workstream.models.today import Badge, NextVerb, Tier
from workstream.services.today import SLICE, rebuild_today, recompute_today, refresh_today

pytestmark = pytest.mark.django_db

LATER = AT + timedelta(hours=1)
TRIAGE, TOUCH, DUE, RESPONSE = SlaMetric.TRIAGE, SlaMetric.TOUCH, SlaMetric.DUE_DATE, SlaMetric.RESPONSE


def terms(row: TodayItem) -> tuple[int, int, int, int]:
    return (row.urgency_points, row.value_points, row.stage_points, row.workload_penalty)


def drained() -> None:
    result = drain_all()
    assert (result.failed, result.dead) == (0, 0)


class TestWhichItems:
    @pytest.mark.parametrize(
        ("status", "listed"),
        [
            ("new", False),
            ("triaged", True),
            ("nurture", True),
            ("on_hold", True),
            ("promoted", False),
            ("archived", False),
        ],
    )
    def test_candidates_by_status(self, org, status, listed):
        candidate = open_candidate(org, status=status)
        refresh(candidate)
        assert is_listed(candidate) is listed

    @pytest.mark.parametrize("stage", list(PursuitStage))
    def test_pursuits_while_they_are_open(self, org, stage):
        pursuit = open_pursuit(org, stage=stage)
        refresh(pursuit)
        assert is_listed(pursuit) is (stage not in {"won", "lost"})

    def test_a_new_candidate_past_its_triage_warning(self, org):
        candidate = open_candidate(org)
        warn(candidate, TRIAGE)
        refresh(candidate)
        assert row_of(candidate).badge == Badge.AMBER

    def test_a_new_candidate_in_breach(self, org):
        candidate = open_candidate(org)
        breach(candidate, TRIAGE)
        refresh(candidate)
        assert row_of(candidate).badge == Badge.RED

    def test_a_new_candidate_that_is_merely_untouched_does_not_belong(self, org):
        candidate = open_candidate(org)
        warn(candidate, TOUCH)
        refresh(candidate)
        assert not is_listed(candidate)

    def test_an_item_that_no_longer_belongs_loses_its_row(self, org):
        candidate = open_candidate(org, status="triaged")
        refresh(candidate)
        services.archive_candidate(org=org, candidate_id=candidate.pk, reason="No need", actor=CLERK, at=LATER)
        assert refresh(candidate).removed == 1
        assert not is_listed(candidate)

    def test_items_of_others_are_left_alone(self, org, other_org):
        theirs = open_candidate(other_org, status="triaged")
        found = refresh_today(org=org, candidate_ids=[theirs.pk], pursuit_ids=[], at=AT)
        assert found.anything is False
        assert not is_listed(theirs)


class TestUrgency:
    def test_breached(self, org):
        pursuit = open_pursuit(org)
        warn(pursuit, DUE)
        breach(pursuit, SlaMetric.PROPOSAL)
        refresh(pursuit)
        row = row_of(pursuit)
        assert (row.urgency, row.urgency_points, row.badge) == ("breached", 100, Badge.RED)
        assert (row.sla_metric, row.sla_due_at) == ("proposal_sla", AT + timedelta(hours=72))

    def test_past_the_due_date(self, org):
        pursuit = open_pursuit(org)
        warn(pursuit, DUE)
        warn(pursuit, TOUCH)
        refresh(pursuit)
        row = row_of(pursuit)
        assert (row.urgency, row.urgency_points, row.badge) == ("past_due", 75, Badge.AMBER)
        assert (row.sla_metric, row.sla_due_at) == ("due_date", None)

    @pytest.mark.parametrize("metric", [TOUCH, SlaMetric.PROPOSAL])
    def test_warned(self, org, metric):
        pursuit = open_pursuit(org)
        warn(pursuit, metric)
        refresh(pursuit)
        row = row_of(pursuit)
        assert (row.urgency, row.urgency_points, row.badge) == ("warned", 50, Badge.AMBER)
        assert row.sla_metric == metric

    def test_calm_shows_what_is_due_next(self, org):
        pursuit = open_pursuit(org)
        refresh(pursuit)
        row = row_of(pursuit)
        assert (row.urgency, row.urgency_points, row.badge) == ("calm", 20, Badge.GREEN)
        assert (row.sla_metric, row.sla_due_at) == ("proposal_sla", AT + timedelta(hours=72))

    def test_a_resolved_breach_is_over(self, org):
        candidate = open_candidate(org)
        breach(candidate, TRIAGE)
        refresh(candidate)
        services.triage_candidate(org=org, candidate_id=candidate.pk, actor=CLERK, at=LATER)
        refresh(candidate)
        assert (row_of(candidate).urgency, row_of(candidate).badge) == ("calm", Badge.GREEN)

    def test_a_warning_of_a_stopped_clock_is_over(self, org):
        pursuit = open_pursuit(org, stage=PursuitStage.RED)
        warn(pursuit, SlaMetric.PROPOSAL)
        complete_checklist(pursuit, "pink")
        services.submit_pursuit(org=org, pursuit_id=pursuit.pk, actor=CLERK, at=LATER)
        refresh(pursuit)
        assert row_of(pursuit).urgency == "calm"


class TestValue:
    @pytest.mark.parametrize(("band", "points"), [("high", 30), ("med", 15), ("low", 5)])
    def test_a_candidate_by_its_band(self, org, band, points):
        candidate = open_candidate(org, status="triaged", value_band=band)
        refresh(candidate)
        assert row_of(candidate).value_points == points

    @pytest.mark.parametrize(
        ("value_band", "icp_band", "points"), [("low", "high", 30), ("high", "low", 30), ("med", "", 15)]
    )
    def test_the_higher_of_value_and_customer_fit(self, org, value_band, icp_band, points):
        candidate = open_candidate(org, status="triaged", value_band=value_band)
        Candidate.all_orgs.filter(pk=candidate.pk).update(icp_band=icp_band)
        refresh(candidate)
        assert row_of(candidate).value_points == points

    @pytest.mark.parametrize(
        ("forecast", "band"),
        [("1", "low"), ("29999.99", "low"), ("30000", "med"), ("99999.99", "med"), ("100000", "high"), ("9e9", "high")],
    )
    def test_a_pursuit_by_the_band_nearest_to_its_forecast(self, org, forecast, band):
        pursuit = open_pursuit(org, estimated_value=Decimal(forecast))
        refresh(pursuit)
        assert row_of(pursuit).value_band == band

    def test_a_pursuit_without_a_forecast_by_its_candidate(self, org):
        pursuit = open_pursuit(org, value_band="high", estimated_value=Decimal(0))
        refresh(pursuit)
        assert row_of(pursuit).value_band == "high"


class TestStage:
    @pytest.mark.parametrize(("stage", "points"), [("qual", 10), ("pink", 15), ("red", 25), ("submit", 35)])
    def test_of_pursuits(self, org, stage, points):
        pursuit = open_pursuit(org, stage=PursuitStage(stage))
        refresh(pursuit)
        assert row_of(pursuit).stage_points == points

    @pytest.mark.parametrize(("status", "points"), [("triaged", 10), ("nurture", 15), ("on_hold", 0)])
    def test_of_candidates(self, org, status, points):
        candidate = open_candidate(org, status=status)
        refresh(candidate)
        assert row_of(candidate).stage_points == points


class TestScoreAndTier:
    def test_add_up(self, org):
        pursuit = open_pursuit(org, stage=PursuitStage.SUBMIT, value_band="high")
        warn(pursuit, DUE)
        refresh(pursuit)
        row = row_of(pursuit)
        assert terms(row) == (75, 30, 35, 0)
        assert row.priority_score == 140

    @pytest.mark.parametrize(
        ("urgency", "band", "score", "tier"),
        [
            # triaged: 10 points of stage
            ("due", "med", 100, Tier.URGENT),
            ("due", "low", 90, Tier.HIGH),
            ("touch", "med", 75, Tier.HIGH),
            ("touch", "low", 65, Tier.MEDIUM),
            ("", "high", 60, Tier.MEDIUM),
            ("", "med", 45, Tier.LOW),
        ],
    )
    def test_tiers_begin_at_their_scores(self, org, urgency, band, score, tier):
        candidate = open_candidate(org, status="triaged", value_band=band, next_step_due=date(2026, 3, 1))
        if urgency:
            warn(candidate, {"due": DUE, "touch": TOUCH}[urgency])
        refresh(candidate)
        assert (row_of(candidate).priority_score, row_of(candidate).tier) == (score, tier)


class TestNextVerb:
    @pytest.mark.parametrize(
        ("status", "verb"),
        [("triaged", NextVerb.PROMOTE), ("nurture", NextVerb.LOG_CALL), ("on_hold", NextVerb.RESUME)],
    )
    def test_of_candidates(self, org, status, verb):
        candidate = open_candidate(org, status=status)
        refresh(candidate)
        assert row_of(candidate).next_verb == verb

    def test_of_a_late_new_candidate(self, org):
        candidate = open_candidate(org)
        warn(candidate, TRIAGE)
        refresh(candidate)
        assert row_of(candidate).next_verb == NextVerb.TRIAGE

    def test_of_an_untouched_one(self, org):
        candidate = open_candidate(org, status="triaged")
        warn(candidate, TOUCH)
        refresh(candidate)
        assert row_of(candidate).next_verb == NextVerb.LOG_CALL

    def test_along_the_way_of_a_pursuit(self, org):
        pursuit = open_pursuit(org, owner=MembershipFactory(org=org).user)
        keys: dict[str, Any] = {"org": org, "pursuit_id": pursuit.pk, "actor": CLERK, "at": LATER}
        seen = []

        def look() -> None:
            refresh(pursuit)
            seen.append(row_of(pursuit).next_verb)

        look()
        services.move_pursuit(**keys, stage="pink")
        look()
        complete_checklist(pursuit, "pink")
        look()
        services.move_pursuit(**keys, stage="red")
        look()
        services.submit_pursuit(**keys)
        look()
        complete_checklist(pursuit, "red")
        look()
        proposal = pursuit.proposals.get()
        services.send_proposal(org=org, proposal_id=proposal.pk, actor=CLERK, at=LATER)
        services.sign_proposal(org=org, proposal_id=proposal.pk, actor=CLERK, at=LATER)
        look()
        assert seen == ["start_pink", "complete_pink", "start_red", "submit", "complete_red", "log_call", "win"]

    def test_without_a_proposal_one_is_to_be_written(self, org):
        pursuit = open_pursuit(org, stage=PursuitStage.RED)
        complete_checklist(pursuit, "pink")
        for proposal in pursuit.proposals.all():
            services.void_proposal(org=org, proposal_id=proposal.pk, actor=CLERK, at=LATER)
        refresh(pursuit)
        assert row_of(pursuit).next_verb == NextVerb.WRITE_PROPOSAL

    def test_a_late_answer_is_asked_for(self, org):
        pursuit = open_pursuit(org, stage=PursuitStage.SUBMIT)
        services.send_proposal(org=org, proposal_id=pursuit.proposals.get().pk, actor=CLERK, at=LATER)
        breach(pursuit, RESPONSE)
        complete_checklist(pursuit, "red")
        refresh(pursuit)
        assert row_of(pursuit).next_verb == NextVerb.LOG_CALL


class TestWorkload:
    @pytest.mark.parametrize("number", range(1, 14))
    def test_two_points_for_each_further_item_up_to_twenty(self, org, number):
        owner = MembershipFactory(org=org).user
        CandidateFactory.create_batch(number, org=org, owner=owner, status="triaged")
        for candidate in Candidate.all_orgs.filter(org=org):
            refresh(candidate)
        penalties = set(TodayItem.all_orgs.filter(org=org).values_list("workload_penalty", flat=True))
        assert penalties == {min(20, 2 * (number - 1))}

    @pytest.mark.parametrize("number", range(1, 14))
    def test_one_less_is_felt_by_at_most_eleven(self, org, number):
        owner = MembershipFactory(org=org).user
        first, *others = CandidateFactory.create_batch(number + 1, org=org, owner=owner, status="triaged")
        refresh(first, *others)
        services.archive_candidate(org=org, candidate_id=first.pk, reason="No need", actor=CLERK, at=LATER)
        found = refresh(first)
        assert found.reweighed == (number if number <= 10 else 0)
        penalties = set(TodayItem.all_orgs.filter(org=org).values_list("workload_penalty", flat=True))
        assert penalties == {min(20, 2 * (number - 1))}

    def test_many_at_once(self, org):
        owner = MembershipFactory(org=org).user
        old = CandidateFactory.create_batch(3, org=org, owner=owner, status="triaged")
        refresh(*old)
        assert refresh(*CandidateFactory.create_batch(30, org=org, owner=owner, status="triaged")).reweighed == 3
        assert set(TodayItem.all_orgs.filter(org=org).values_list("workload_penalty", flat=True)) == {20}
        given_up = [each.pk for each in Candidate.all_orgs.filter(org=org).order_by("pk")[4:]]
        Candidate.all_orgs.filter(pk__in=given_up).update(owner=None)
        refresh(*Candidate.all_orgs.filter(org=org))
        assert set(TodayItem.all_orgs.filter(owner=owner).values_list("workload_penalty", flat=True)) == {6}
        assert set(TodayItem.all_orgs.filter(org=org, owner=None).values_list("workload_penalty", flat=True)) == {0}

    def test_a_change_of_owner_moves_both(self, org):
        rita, carl = (MembershipFactory(org=org).user for _ in range(2))
        hers = CandidateFactory.create_batch(3, org=org, owner=rita, status="triaged")
        his = CandidateFactory.create_batch(2, org=org, owner=carl, status="triaged")
        refresh(*hers, *his)
        services.update_candidate(org=org, candidate_id=hers[0].pk, fields={"owner": carl}, actor=CLERK, at=LATER)
        assert refresh(hers[0]).reweighed == 4
        assert [row_of(each).workload_penalty for each in (*hers, *his)] == [4, 2, 2, 4, 4]

    def test_the_tier_follows(self, org):
        owner = MembershipFactory(org=org).user
        first = CandidateFactory(org=org, owner=owner, status="nurture")
        refresh(first)
        assert (row_of(first).priority_score, row_of(first).tier) == (50, Tier.MEDIUM)
        second = CandidateFactory(org=org, owner=owner, status="nurture")
        refresh(second)
        assert (row_of(first).priority_score, row_of(first).tier) == (48, Tier.LOW)
        assert kept_counts(org) == counted(org)

    def test_snoozed_items_count(self, org):
        owner = MembershipFactory(org=org).user
        first, second = CandidateFactory.create_batch(2, org=org, owner=owner, status="triaged")
        refresh(first, second)
        services.snooze_item(
            org=org, item_type="candidate", item_id=first.pk, until=AT + timedelta(days=3), actor=CLERK, at=AT
        )
        refresh(first, second, at=LATER)
        assert [row_of(each).workload_penalty for each in (first, second)] == [2, 2]
        assert row_of(first).snoozed_until == AT + timedelta(days=3)
        assert kept_counts(org) == counted(org)


class TestRefreshing:
    def test_again_changes_nothing(self, org):
        items = [open_candidate(org, status="triaged"), open_pursuit(org)]
        refresh(*items)
        before = version_of(org)
        assert refresh(*items, at=LATER).anything is False
        assert version_of(org) == before == 1

    def test_copies_what_is_shown(self, org):
        owner = MembershipFactory(org=org).user
        candidate = open_candidate(
            org,
            status="triaged",
            owner=owner,
            title="Press line 4",
            client=ClientFactory(org=org, name="Harbour Works"),
            next_step_due=date(2026, 3, 9),
        )
        services.update_candidate(
            org=org, candidate_id=candidate.pk, fields={}, tags=["urgent", "Hot"], actor=CLERK, at=LATER
        )
        refresh(candidate)
        row = row_of(candidate)
        assert (row.label, row.client_name, row.state, row.owner_id) == (
            "Press line 4",
            "Harbour Works",
            "triaged",
            owner.pk,
        )
        assert (sorted(row.tags), row.due_date, row.last_touch_at) == (["Hot", "urgent"], date(2026, 3, 9), AT)

    def test_reads_the_items_and_not_the_organisation(self, org):
        candidate = open_candidate(org, status="triaged")
        keys: dict[str, Any] = {"org": org, "candidate_ids": [candidate.pk], "pursuit_ids": [], "at": AT}
        with org_scope(org):
            refresh_today(**keys)  # plans the statement once per connection
            services.nurture_candidate(org=org, candidate_id=candidate.pk, actor=CLERK, at=LATER)
            with counted_queries() as asked:
                assert refresh_today(**keys).changed == 1
        assert len(asked) == 4, "\n".join(asked)  # lock, whether it is planned, rows, version

    def test_counts_are_kept_with_the_rows(self, org):
        items = [open_candidate(org, status="triaged", value_band=band) for band in ("low", "med", "high")]
        refresh(*items)
        warn(items[0], TOUCH)
        breach(open_candidate(org), TRIAGE)
        refresh(*Candidate.all_orgs.filter(org=org))
        assert kept_counts(org) == counted(org)
        assert sum(kept_counts(org)) == 4


class TestFollowingEvents:
    def test_every_move_of_an_item_moves_its_row(self, org):
        candidate = open_candidate(org)
        drained()
        assert not is_listed(candidate)
        services.triage_candidate(org=org, candidate_id=candidate.pk, actor=CLERK, at=LATER)
        drained()
        assert row_of(candidate).state == "triaged"
        services.update_candidate(org=org, candidate_id=candidate.pk, fields={"title": "New"}, actor=CLERK, at=LATER)
        drained()
        assert row_of(candidate).label == "New"
        services.update_candidate(org=org, candidate_id=candidate.pk, fields={}, tags=["hot"], actor=CLERK, at=LATER)
        drained()
        assert row_of(candidate).tags == ["hot"]
        services.log_activity(
            org=org, item_type="candidate", item_id=candidate.pk, kind="call", summary="Call", actor=CLERK, at=LATER
        )
        drained()
        assert row_of(candidate).last_touch_at == LATER
        pursuit = services.promote_candidate(org=org, candidate_id=candidate.pk, actor=CLERK, at=LATER).pursuit
        drained()
        assert not is_listed(candidate)
        assert row_of(pursuit).state == "qual"

    def test_all_events_of_a_batch_cost_one_refresh(self, org):
        candidates = [open_candidate(org, status="triaged") for _ in range(10)]
        events = WorkEvent.all_orgs.filter(org=org, event_name__startswith="candidate.").order_by("pk")
        batch = [delivered(org, event, "workstream.refresh_today") for event in events]
        assert len(batch) == 20
        with org_scope(org):
            refresh_panel(batch)
        assert {row.candidate_id for row in TodayItem.all_orgs.filter(org=org)} == {each.pk for each in candidates}
        assert version_of(org) == 1

    def test_closed_history_leaves_no_rows(self, org):
        for _ in range(3):
            open_pursuit(org, stage=PursuitStage.WON)
        drained()
        assert TodayItem.all_orgs.filter(org=org).count() == 0


class TestOtherWeights:
    def _set(self, org, value):
        configuration.set_value(
            org=org, rule_type="ranking_rule", key="today", value=value, reason="Test", actor=CLERK, at=LATER
        )

    def test_every_row_is_computed_anew(self, org, monkeypatch):
        monkeypatch.setattr("workstream.services.today.SLICE", 3)
        CandidateFactory.create_batch(10, org=org, status="triaged")
        refresh(*Candidate.all_orgs.filter(org=org))
        self._set(org, {"urgency": {"otherwise": 30}, "tiers": {"urgent": 100, "high": 75, "medium": 55}})
        drained()
        assert set(TodayItem.all_orgs.filter(org=org).values_list("urgency_points", "tier")) == {(30, Tier.MEDIUM)}
        assert kept_counts(org) == counted(org)
        slices = WorkEvent.all_orgs.filter(org=org, event_name="today.outdated").order_by("pk")
        # From the beginning, then behind the third, the sixth and the ninth row.
        assert len(slices) == 4

    def test_the_same_weights_outdate_nothing(self, org):
        candidate = open_candidate(org, status="triaged")
        refresh(candidate)
        configuration.set_value(
            org=org, rule_type="ranking_rule", key="today", value={}, reason="Test", actor=CLERK, at=LATER
        )
        drained()
        assert not WorkEvent.all_orgs.filter(org=org, event_name="today.outdated").exists()

    def test_other_rules_of_a_clock_are_read_anew(self, org):
        """A recomputed clock moves the due time of its row."""
        pursuit = open_pursuit(org)
        drained()
        assert row_of(pursuit).sla_due_at == AT + timedelta(hours=72)
        rule = SlaRule.all_orgs.get(org=org, metric="proposal_sla")
        services.update_rule(org=org, rule_id=rule.pk, fields={"threshold_hours": Decimal(100)}, actor=CLERK, at=LATER)
        drained()
        assert row_of(pursuit).sla_due_at == AT + timedelta(hours=100)


class TestRebuilding:
    def test_makes_the_panel_from_the_items(self, org):
        CandidateFactory.create_batch(5, org=org, status="triaged")
        PursuitFactory.create_batch(2, org=org)
        gone = CandidateFactory(org=org, status="triaged")
        refresh(gone)
        Candidate.all_orgs.filter(pk=gone.pk).update(archive_reason="No need")
        services.archive_candidate(org=org, candidate_id=gone.pk, reason="No need", actor=CLERK, at=LATER)
        TodayVersion.all_orgs.filter(org=org).update(counts=[7] * 12)
        # Five candidates and two pursuits come, one candidate goes; a pursuit's own candidate is new.
        assert rebuild_today(org=org, at=LATER) == 8
        found = {(row.item_type, row.item_id): Badge(row.badge).label for row in TodayItem.all_orgs.filter(org=org)}
        assert found == badges_by_the_clocks(org)
        assert kept_counts(org) == counted(org)
        assert rebuild_today(org=org, at=LATER) == 0

    def test_goes_on_where_it_was_stopped(self, org, monkeypatch):
        monkeypatch.setattr("workstream.services.today.SLICE", 2)
        candidates = CandidateFactory.create_batch(5, org=org, status="triaged")
        PursuitFactory.create_batch(1, org=org)
        places = []

        class Stopped(Exception):
            pass

        def stop_after_two(place):
            places.append(place)
            if len(places) == 2:
                raise Stopped

        with pytest.raises(Stopped):
            rebuild_today(org=org, at=AT, progressed=stop_after_two)
        assert TodayItem.all_orgs.filter(org=org).count() == 4
        assert places[-1] == ("candidate", candidates[3].pk)
        rebuild_today(org=org, at=AT, after=places[-1])
        # The pursuit's own candidate is new and not late.
        assert TodayItem.all_orgs.filter(org=org).count() == 6

    def test_recomputing_stops_at_the_end(self, org):
        refresh(open_candidate(org, status="triaged"))
        assert recompute_today(org=org, after_id=0, at=AT) is None
        assert SLICE == 1000
