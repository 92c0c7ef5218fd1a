"""Weights proposed from closed pursuits, and what a manager makes of them."""

from __future__ import annotations

import re
from typing import Any

import pytest

from flowledger.configuration.services import set_value
from flowledger.errors import Conflict, InvalidTransition, NotFound, PermissionRefused, Unavailable
from flowledger.outbox.drain import drain_all
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.scope import org_scope, system_scope
from spotlight import services
from spotlight.evaluation.types import Profile
from spotlight.machines import ProposalStatus
from spotlight.models import Spotlight, SpotlightCriterion, SpotlightVersion, WeightProposal
from spotlight.services.definitions import profile_at
from spotlight.services.outcomes import outcomes_of
from tests.queries import counted_queries
from tests.spotlight.closed_pursuits import close_pursuits, days_after, learned_world, link_signals
from tests.spotlight.extras import hide
from tests.spotlight.factories import open_spotlight
from tests.workstream.conftest import actor_of
from tests.workstream.factories import AT, CLERK
from tests.workstream.trail import at_once, events_of

pytestmark = pytest.mark.django_db


def propose(org, spotlight, actor: Actor = CLERK) -> WeightProposal:
    return services.propose_weights(org=org, spotlight_id=spotlight.pk, actor=actor, at=AT)


def decide(service: Any, proposal: WeightProposal, actor: Actor = CLERK) -> WeightProposal:
    return service(org=proposal.org, proposal_id=proposal.pk, actor=actor, at=AT)


def weights_of(spotlight) -> list[float]:
    rows = SpotlightCriterion.all_orgs.filter(spotlight=spotlight).order_by("position", "pk")
    return [float(weight) for weight in rows.values_list("weight", flat=True)]


def state_of(spotlight) -> dict[str, Any]:
    """All that a decision could change."""
    return {
        "weights": weights_of(spotlight),
        "version": Spotlight.all_orgs.get(pk=spotlight.pk).version,
        "versions": SpotlightVersion.all_orgs.filter(spotlight=spotlight).count(),
        "proposals": list(WeightProposal.all_orgs.filter(spotlight=spotlight).order_by("pk").values()),
        "events": events_of(spotlight),
    }


@pytest.fixture
def spotlight(org):
    return open_spotlight(org)


@pytest.fixture
def proposal(org, spotlight):
    learned_world(org)
    return propose(org, spotlight)


class TestPropose:
    def test_keeps_weights_and_evidence_and_changes_nothing_else(self, org, spotlight, manager):
        learned_world(org)
        before = state_of(spotlight)

        proposal = propose(org, spotlight, actor_of(manager))

        ids = list(
            SpotlightCriterion.all_orgs.filter(spotlight=spotlight).order_by("position").values_list("pk", flat=True)
        )
        proposal.refresh_from_db()
        assert (proposal.status, proposal.base_version, proposal.made_by) == ("proposed", 1, manager.user)
        assert list(proposal.weights) == [str(pk) for pk in ids]
        industry, budget, employees, sites = proposal.weights.values()
        assert industry > budget > employees
        assert sites == 0
        assert sum(proposal.weights.values()) == pytest.approx(40)
        assert proposal.evidence["counts"]["fitted"] == 210
        assert proposal.evidence["counts"]["held_back"] == 90
        assert [each["label"] for each in proposal.evidence["effects"]] == [
            "Industry: Financial Services",
            "Budget: 100k+",
            "Employees: 50–200",
            "Sites: 2+",
        ]
        after = state_of(spotlight)
        assert after["events"] == [*before["events"], "spotlight.weights_proposed"]
        assert {**after, "events": 0, "proposals": 0} == {**before, "events": 0, "proposals": 0}

    def test_says_how_many_outcomes_there_are_and_how_many_are_needed(self, org, spotlight):
        close_pursuits(org, [({"industry": "Farming"}, n % 3 == 0, days_after(n)) for n in range(60)])
        before = state_of(spotlight)

        with pytest.raises(Conflict) as refused:
            propose(org, spotlight)

        assert refused.value.message == (
            "Too few outcomes. There are 60 closed pursuits to learn from (20 won, 40 lost); learning needs 100, at "
            "least 20 won and 20 lost. Only pursuits of which the profile knows something count."
        )
        assert refused.value.details == {"won": 20, "lost": 40, "needed": 100, "needed_of_each": 20}
        assert state_of(spotlight) == before

    def test_wants_enough_of_won_and_of_lost(self, org, spotlight):
        close_pursuits(org, [({"industry": "Farming"}, n % 10 == 0, days_after(n)) for n in range(190)])

        with pytest.raises(Conflict, match=r"190 closed pursuits to learn from \(19 won, 171 lost\)"):
            propose(org, spotlight)

    def test_counts_only_what_the_profile_knows_something_of(self, org, spotlight):
        close_pursuits(org, [({"colour": "blue"}, n % 2 == 0, days_after(n)) for n in range(200)])

        with pytest.raises(Conflict, match=r"There are 0 closed pursuits to learn from \(0 won, 0 lost\)"):
            propose(org, spotlight)

    def test_follows_the_organisations_own_rule(self, org, spotlight):
        learned_world(org, count=80)
        rule = {"least_outcomes": 60, "least_of_each": 10, "held_back": 0.25}
        with org_scope(org):
            set_value(org=org, rule_type="spotlight_rule", key="learning", value=rule, reason="Few", actor=CLERK, at=AT)

        assert propose(org, spotlight).evidence["counts"]["held_back"] == 20

    def test_says_so_without_the_extra(self, org, spotlight, monkeypatch):
        learned_world(org, count=120)
        before = state_of(spotlight)
        hide(monkeypatch, "sklearn")

        with pytest.raises(Unavailable, match="Learning needs scikit-learn, which is not installed here"):
            propose(org, spotlight)

        assert state_of(spotlight) == before

    def test_says_when_the_outcomes_teach_nothing(self, org, spotlight):
        learned_world(org, strengths=(-1.0, -1.0, -1.0, -1.0))

        with pytest.raises(Conflict, match="None of the criteria tells won pursuits from lost ones"):
            propose(org, spotlight)

    def test_says_when_a_profile_weighs_nothing(self, org):
        empty = open_spotlight(org, criteria=())

        with pytest.raises(Conflict, match="has no criterion with a weight"):
            propose(org, empty)

    def test_supersedes_the_one_that_waits(self, org, spotlight, proposal):
        newer = propose(org, spotlight)

        proposal.refresh_from_db()
        assert (proposal.status, newer.status) == (ProposalStatus.SUPERSEDED, ProposalStatus.PROPOSED)
        assert events_of(spotlight)[-2:] == ["spotlight.weights_decided", "spotlight.weights_proposed"]

    def test_is_a_managers(self, org, spotlight, rep):
        before = state_of(spotlight)
        with pytest.raises(PermissionRefused):
            propose(org, spotlight, actor_of(rep))
        assert state_of(spotlight) == before

    def test_does_not_know_a_strangers_profile(self, org, other_org, spotlight):
        learned_world(other_org)
        with pytest.raises(NotFound):
            propose(other_org, spotlight)


class TestOutcomes:
    def profile(self, org, spotlight) -> Profile:
        return profile_at(org, spotlight.pk, 1)

    def test_are_judged_by_the_first_signal_behind_them(self, org, spotlight):
        candidates = close_pursuits(org, [({"budget": "50k"}, True, days_after(1))])
        link_signals(org, candidates, [{"budget": "200k"}], at=days_after(9_999))
        with system_scope("tests"):
            type(candidates[0]).all_orgs.update(estimated_value=300_000)

        with org_scope(org):
            (outcome,) = outcomes_of(org, self.profile(org, spotlight))

        assert (outcome.is_won, outcome.credits) == (True, (None, 0.0, None, None))

    def test_are_judged_by_the_candidate_where_there_was_no_signal(self, org, spotlight):
        candidates = close_pursuits(org, [({}, False, days_after(1))], with_signals=False)
        with system_scope("tests"):
            type(candidates[0]).all_orgs.update(estimated_value=300_000)

        with org_scope(org):
            (outcome,) = outcomes_of(org, self.profile(org, spotlight))

        assert (outcome.is_won, outcome.credits) == (False, (None, 1.0, None, None))

    def test_are_ones_own(self, org, other_org, spotlight):
        learned_world(other_org, count=5)
        with org_scope(org):
            assert outcomes_of(org, self.profile(org, spotlight)) == []

    def test_are_read_in_a_constant_number_of_statements(self, org, spotlight):
        def asked() -> int:
            with org_scope(org), counted_queries() as statements:
                outcomes_of(org, self.profile(org, spotlight))
            return len([each for each in statements if re.match("SELECT", each)])

        learned_world(org, count=3)
        asked()
        few = asked()
        learned_world(org, count=200, seed=2)

        assert asked() == few


class TestAccept:
    def test_gives_the_profile_the_weights_as_its_next_version(self, org, spotlight, proposal, manager):
        accepted = decide(services.accept_weights, proposal, actor_of(manager))

        assert weights_of(spotlight) == list(proposal.weights.values())
        assert (accepted.status, accepted.applied_version, accepted.decided_by_id) == ("accepted", 2, manager.user_id)
        version = SpotlightVersion.all_orgs.get(spotlight=spotlight, version=2)
        won = proposal.evidence["counts"]["won"]
        assert (version.origin, version.note) == ("learned", f"Learned from 300 closed pursuits ({won} won)")
        assert events_of(spotlight)[-2:] == ["spotlight.updated", "spotlight.weights_decided"]

    def test_is_refused_when_the_profile_was_changed_since(self, org, spotlight, proposal):
        criteria = [{"criterion_id": int(pk), "weight": 3} for pk in proposal.weights]
        services.apply_weights(
            org=org,
            spotlight_id=spotlight.pk,
            weights={each["criterion_id"]: each["weight"] for each in criteria},
            origin="edited",
            actor=CLERK,
            at=AT,
        )
        before = state_of(spotlight)

        with pytest.raises(
            Conflict, match=r"is at version 2; these weights were learned for version 1\. Ask for new ones"
        ):
            decide(services.accept_weights, proposal)

        assert state_of(spotlight) == before

    @pytest.mark.parametrize("first", [services.accept_weights, services.reject_weights])
    @pytest.mark.parametrize("second", [services.accept_weights, services.reject_weights])
    def test_is_decided_once(self, spotlight, proposal, first, second):
        decide(first, proposal)
        before = state_of(spotlight)

        with pytest.raises(InvalidTransition):
            decide(second, proposal)

        assert state_of(spotlight) == before

    @pytest.mark.parametrize("service", [services.accept_weights, services.reject_weights, services.revert_weights])
    def test_is_a_managers_of_the_same_organisation(self, org, other_org, spotlight, proposal, rep, service):
        before = state_of(spotlight)
        with pytest.raises(PermissionRefused):
            decide(service, proposal, actor_of(rep))
        with pytest.raises(NotFound):
            service(org=other_org, proposal_id=proposal.pk, actor=CLERK, at=AT)
        assert state_of(spotlight) == before


class TestReject:
    def test_leaves_the_profile_as_it_is(self, spotlight, proposal):
        rejected = decide(services.reject_weights, proposal)

        assert (rejected.status, rejected.applied_version) == ("rejected", None)
        assert (weights_of(spotlight), Spotlight.all_orgs.get(pk=spotlight.pk).version) == ([10, 10, 10, 10], 1)
        assert events_of(spotlight)[-1] == "spotlight.weights_decided"


class TestRevert:
    def test_gives_the_profile_back_what_it_was(self, spotlight, proposal):
        decide(services.accept_weights, proposal)

        reverted = decide(services.revert_weights, proposal)

        assert (reverted.status, reverted.applied_version) == ("reverted", 2)
        assert weights_of(spotlight) == [10, 10, 10, 10]
        version = SpotlightVersion.all_orgs.get(spotlight=spotlight, version=3)
        assert (version.origin, version.note) == ("reverted", "Took learned weights back: version 1 again")

    def test_is_refused_when_it_would_lose_a_later_change(self, org, spotlight, proposal):
        decide(services.accept_weights, proposal)
        first = int(next(iter(proposal.weights)))
        services.apply_weights(
            org=org, spotlight_id=spotlight.pk, weights={first: 99}, origin="edited", actor=CLERK, at=AT
        )
        before = state_of(spotlight)

        with pytest.raises(Conflict, match="was changed after it took these weights over, and that would be lost"):
            decide(services.revert_weights, proposal)

        assert state_of(spotlight) == before

    @pytest.mark.parametrize("service", [None, services.reject_weights])
    def test_is_for_accepted_ones_only(self, spotlight, proposal, service):
        if service is not None:
            decide(service, proposal)
        with pytest.raises(InvalidTransition):
            decide(services.revert_weights, proposal)


class TestSupersede:
    def test_closes_what_was_learned_for_an_earlier_version(self, org, spotlight, proposal):
        closed = [
            services.supersede_proposals(org=org, spotlight_id=spotlight.pk, version=version, actor=CLERK, at=AT)
            for version in (1, 2, 2)
        ]

        proposal.refresh_from_db()
        assert closed == [0, 1, 0]
        assert proposal.status == ProposalStatus.SUPERSEDED

    def test_follows_an_edit_of_the_profile(self, org, spotlight, proposal):
        criterion_id = int(next(iter(proposal.weights)))
        services.apply_weights(
            org=org, spotlight_id=spotlight.pk, weights={criterion_id: 99}, origin="edited", actor=CLERK, at=AT
        )

        drain_all()

        proposal.refresh_from_db()
        assert proposal.status == ProposalStatus.SUPERSEDED

    def test_does_not_follow_the_very_proposal_that_was_taken_over(self, proposal):
        decide(services.accept_weights, proposal)

        drain_all()

        proposal.refresh_from_db()
        assert proposal.status == ProposalStatus.ACCEPTED


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("transactional_db")
class TestAtOnce:
    def test_two_decide_and_one_of_them_does(self, org, spotlight, proposal):
        answers = at_once(
            lambda: decide(services.accept_weights, proposal),
            lambda: decide(services.reject_weights, proposal),
            lambda: decide(services.accept_weights, proposal),
        )

        assert sum(isinstance(answer, WeightProposal) for answer in answers) == 1
        assert sum(isinstance(answer, InvalidTransition) for answer in answers) == 2
        with system_scope("tests"):
            assert events_of(spotlight).count("spotlight.weights_decided") == 1

    def test_two_ask_and_one_proposal_waits(self, org, spotlight):
        learned_world(org, count=150)

        answers = at_once(*[lambda: propose(org, spotlight)] * 3)

        assert all(isinstance(answer, WeightProposal) for answer in answers), answers
        with system_scope("tests"):
            statuses = WeightProposal.all_orgs.filter(spotlight=spotlight).values_list("status", flat=True)
            assert sorted(statuses) == ["proposed", "superseded", "superseded"]
