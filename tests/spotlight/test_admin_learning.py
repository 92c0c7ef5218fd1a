"""Learned weights in the back office: asked for on the list, shown with charts and sentences, decided by buttons."""

from __future__ import annotations

import json
from html import unescape

import pytest
from django.urls import reverse

from flowledger.tenancy.actors import Role
from spotlight.models import Spotlight, SpotlightCriterion, WeightProposal
from tests.spotlight.closed_pursuits import learned_world
from tests.spotlight.factories import WeightProposalFactory, open_spotlight
from tests.workstream.back_office import address, buttons_on, press, said

pytestmark = pytest.mark.django_db

LIST = "admin:spotlight_weightproposal_changelist"
PROPOSE = "admin:spotlight_weightproposal_propose"


@pytest.fixture
def spotlight(home):
    return open_spotlight(home.org, name="Banks")


def propose(client, spotlight):
    return client.post(reverse(PROPOSE), {"spotlight": spotlight.pk}, follow=True)


class TestAsking:
    def test_leads_to_the_evidence(self, home, as_role, spotlight):
        learned_world(home.org)

        page = propose(as_role(Role.MANAGER), spotlight)

        proposal = WeightProposal.all_orgs.get(spotlight=spotlight)
        assert page.redirect_chain == [(address(WeightProposal, "change", proposal.pk), 302)]
        text = unescape(page.content.decode())
        assert proposal.evidence["sentence"] in text
        for effect in proposal.evidence["effects"]:
            assert effect["sentence"] in text
        assert "proved on the 90 latest" in text

    def test_draws_weights_effects_lift_and_calibration(self, home, as_role, spotlight):
        learned_world(home.org)

        charts = propose(as_role(Role.MANAGER), spotlight).context["charts"]

        drawn = [json.loads(chart.data) for chart in charts]
        evidence = WeightProposal.all_orgs.get(spotlight=spotlight).evidence
        assert [chart.kind for chart in charts] == ["bar", "bar", "line", "line"]
        assert drawn[0]["labels"] == [
            "Industry: Financial Services",
            "Budget: 100k+",
            "Employees: 50–200",
            "Sites: 2+",
        ]
        assert [each["data"] for each in drawn[0]["datasets"]] == [
            [effect["weight_after"] for effect in evidence["effects"]],
            [effect["weight_before"] for effect in evidence["effects"]],
        ]
        assert [each["stack"] for each in drawn[0]["datasets"]] == ["0", "1"]
        assert drawn[2]["datasets"][0]["data"] == [step["after"] for step in evidence["lift"]]
        assert len(drawn[3]["labels"]) == len(evidence["calibration"])

    def test_tells_what_is_missing(self, home, as_role, spotlight):
        learned_world(home.org, count=40)
        client = as_role(Role.MANAGER)

        page = propose(client, spotlight)

        assert "Too few outcomes. There are 40 closed pursuits to learn from" in said(page)
        assert "learning needs 100, at least 20 won and 20 lost" in page.content.decode()
        assert not WeightProposal.all_orgs.filter(spotlight=spotlight).exists()

    def test_is_offered_to_managers_only(self, home, as_role, spotlight):
        learned_world(home.org, count=120)
        client = as_role(Role.REP)

        assert "Propose weights" not in client.get(reverse(LIST)).content.decode()
        assert "role manager" in said(propose(client, spotlight))
        assert not WeightProposal.all_orgs.filter(spotlight=spotlight).exists()
        assert "Propose weights" in as_role(Role.MANAGER).get(reverse(LIST)).content.decode()

    def test_does_not_know_a_strangers_profile(self, abroad, as_role, spotlight):
        theirs = open_spotlight(abroad.org)

        page = propose(as_role(Role.MANAGER), theirs)

        assert "There is no spotlight" in said(page)
        assert not WeightProposal.all_orgs.filter(spotlight=theirs).exists()

    @pytest.mark.parametrize("given", ["", "x", "-1", "9" * 30, "²"])
    def test_nonsense_is_no_profile(self, as_role, given):
        assert as_role(Role.MANAGER).post(reverse(PROPOSE), {"spotlight": given}).status_code == 404

    def test_is_no_matter_of_a_link(self, as_role):
        assert as_role(Role.MANAGER).get(reverse(PROPOSE)).status_code == 405


class TestDeciding:
    def test_accepts_and_takes_back(self, home, as_role, spotlight):
        learned_world(home.org)
        client = as_role(Role.MANAGER)
        propose(client, spotlight)
        proposal = WeightProposal.all_orgs.get(spotlight=spotlight)

        page = press(client, proposal, "accept")

        assert "The profile has these weights now" in said(page)
        assert buttons_on(page) == {"revert"}
        assert Spotlight.all_orgs.get(pk=spotlight.pk).version == 2
        page = press(client, proposal, "revert")
        assert (buttons_on(page), Spotlight.all_orgs.get(pk=spotlight.pk).version) == (set(), 3)
        weights = SpotlightCriterion.all_orgs.filter(spotlight=spotlight).values_list("weight", flat=True)
        assert set(weights) == {10}

    def test_rejects(self, home, as_role, spotlight):
        proposal = WeightProposalFactory(org=home.org, spotlight=spotlight)
        client = as_role(Role.MANAGER)
        assert buttons_on(client.get(address(WeightProposal, "change", proposal.pk))) == {"accept", "reject"}

        assert buttons_on(press(client, proposal, "reject")) == set()
        proposal.refresh_from_db()
        assert (proposal.status, Spotlight.all_orgs.get(pk=spotlight.pk).version) == ("rejected", 1)

    def test_is_a_managers(self, home, as_role, spotlight):
        proposal = WeightProposalFactory(org=home.org, spotlight=spotlight)
        client = as_role(Role.REP)
        assert buttons_on(client.get(address(WeightProposal, "change", proposal.pk))) == set()

        assert "needs the owner or a manager" in said(press(client, proposal, "reject"))
        proposal.refresh_from_db()
        assert proposal.status == "proposed"


class TestList:
    def test_shows_what_each_was_learned_from(self, home, as_role, spotlight):
        proposal = WeightProposalFactory(org=home.org, spotlight=spotlight)
        counts, quality = proposal.evidence["counts"], proposal.evidence["quality"]

        text = as_role(Role.VIEWER).get(reverse(LIST)).content.decode()

        assert f"{counts['won']} won, {counts['lost']} lost" in text
        assert f"{100 * quality['auc_before']:.1f} % → {100 * quality['auc_after']:.1f} %" in text
