"""`/api/spotlights/{id}/learning` and `/api/spotlights/learning/{id}`."""

from __future__ import annotations

from typing import Any

import pytest

from spotlight.models import SpotlightVersion, WeightProposal
from tests.queries import counted_queries
from tests.spotlight.closed_pursuits import close_pursuits, days_after, learned_world
from tests.spotlight.factories import WeightProposalFactory, open_spotlight

pytestmark = pytest.mark.django_db


@pytest.fixture
def spotlight(org):
    return open_spotlight(org)


def address(spotlight) -> str:
    return f"/api/spotlights/{spotlight.pk}/learning"


def decide(client: Any, proposal_id: int, verb: str) -> Any:
    return client.post(f"/api/spotlights/learning/{proposal_id}/{verb}", {})


class TestLearning:
    def test_is_asked_for_read_accepted_and_reverted(self, org, spotlight, as_manager):
        learned_world(org)

        made = as_manager.post(address(spotlight), {})

        assert made.status_code == 201
        proposal = made.json()
        assert (proposal["status"], proposal["base_version"], proposal["spotlight_id"]) == ("proposed", 1, spotlight.pk)
        assert sum(proposal["weights"].values()) == pytest.approx(40)
        read = as_manager.get(f"/api/spotlights/learning/{proposal['proposal_id']}")
        assert (read.json(), read["ETag"]) == (proposal, made["ETag"])
        assert [row["proposal_id"] for row in as_manager.get(address(spotlight)).json()["data"]] == [
            proposal["proposal_id"]
        ]

        accepted = decide(as_manager, proposal["proposal_id"], "accept").json()
        assert (accepted["status"], accepted["applied_version"]) == ("accepted", 2)
        criteria = as_manager.get(f"/api/spotlights/{spotlight.pk}").json()["criteria"]
        assert {str(each["criterion_id"]): each["weight"] for each in criteria} == proposal["weights"]

        assert decide(as_manager, proposal["proposal_id"], "revert").json()["status"] == "reverted"
        criteria = as_manager.get(f"/api/spotlights/{spotlight.pk}").json()["criteria"]
        assert [each["weight"] for each in criteria] == [10, 10, 10, 10]

    def test_says_what_is_missing(self, org, spotlight, as_manager):
        close_pursuits(org, [({"industry": "Farming"}, n % 2 == 0, days_after(n)) for n in range(30)])

        answer = as_manager.post(address(spotlight), {})

        assert answer.status_code == 409
        told = answer.json()
        assert told["error"].startswith(
            "Too few outcomes. There are 30 closed pursuits to learn from (15 won, 15 lost);"
        )
        assert (told["code"], told["won"], told["lost"]) == ("conflict", 15, 15)
        assert (told["needed"], told["needed_of_each"]) == (100, 20)
        assert not WeightProposal.all_orgs.filter(spotlight=spotlight).exists()

    def test_a_decided_one_is_not_decided_again(self, org, spotlight, as_manager):
        proposal = WeightProposalFactory(org=org, spotlight=spotlight)
        assert decide(as_manager, proposal.pk, "reject").status_code == 200

        again = decide(as_manager, proposal.pk, "accept")

        assert (again.status_code, again.json()["code"]) == (422, "invalid_transition")
        assert SpotlightVersion.all_orgs.filter(spotlight=spotlight).count() == 1

    def test_takes_nothing_that_it_does_not_know(self, spotlight, as_manager):
        assert as_manager.post(address(spotlight), {"force": True}).status_code == 400

    def test_lists_cost_the_same_whatever_their_length(self, org, spotlight, as_viewer):
        def asked() -> list[str]:
            with counted_queries() as statements:
                answer = as_viewer.get(address(spotlight))
            assert answer.status_code == 200
            return statements

        WeightProposalFactory(org=org, spotlight=spotlight, status="rejected")
        few = asked()
        WeightProposalFactory.create_batch(20, org=org, spotlight=spotlight, status="rejected")

        assert len(asked()) == len(few) <= 4, "\n".join(few)
