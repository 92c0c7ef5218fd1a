"""The analytics page of profiles: what it shows, and that each number leads to the rows behind it."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta

import pytest
from django.urls import reverse

from flowledger.tenancy.actors import Role
from tests.spotlight.factories import MatchAlertFactory, SpotlightCriterionFactory, SpotlightFactory
from tests.spotlight.scored import scored_signal
from tests.workstream.factories import AT, CandidateFactory, PursuitFactory
from workstream.models import CandidateSignal

PARTS = ("match_rate", "conversion", "fields", "scores")
MARCH = {"from": "2026-03-01", "to": "2026-03-31"}
LINK = "/admin/analytics/profiles/"


@pytest.fixture
def banking(home):
    return SpotlightFactory(org=home.org, name="Banking")


def shown(client, cell):
    """The rows of the list that a number leads to."""
    assert cell.link
    page = client.get(cell.link)
    assert page.status_code == 200, cell.link
    return {row.pk for row in page.context["cl"].result_list}


@pytest.mark.parametrize("part", PARTS)
def test_every_part_says_when_there_is_nothing(home, abroad, as_role, client, part):
    scored_signal(abroad.org, SpotlightFactory(org=abroad.org), "high_match")
    page = as_role(Role.VIEWER).get(LINK, {**MARCH, "shown": part})
    assert page.status_code == 200
    assert page.context["figures"].is_empty
    assert "No signal of these days was scored." in page.content.decode()
    assert client.get(LINK).status_code == 302


def test_stands_in_the_menu_beside_the_alerts_that_stand(home, banking, as_role):
    MatchAlertFactory(org=home.org, spotlight=banking)
    text = as_role(Role.VIEWER).get(reverse("admin:overview")).content.decode()
    assert LINK in text
    assert reverse("admin:spotlight_matchalert_changelist") in text


class TestMatchRate:
    def test_draws_a_line_for_each_profile(self, home, banking, as_role):
        retail = SpotlightFactory(org=home.org, name="Retail")
        scored_signal(home.org, banking, "high_match")
        scored_signal(home.org, banking, "no_match")
        scored_signal(home.org, retail, "low_match", ts=AT + timedelta(days=7))
        charts = as_role(Role.VIEWER).get(LINK, MARCH).context["figures"].charts
        drawn = json.loads(charts[0].data)
        assert drawn["labels"] == ["2 Mar 2026", "9 Mar 2026"]
        assert {each["label"]: each["data"] for each in drawn["datasets"]} == {
            "Banking": [50.0, None],
            "Retail": [None, 0.0],
        }

    @pytest.mark.parametrize(("step", "name"), [("week", "2 Mar 2026"), ("day", "2 Mar 2026"), ("month", "Mar 2026")])
    def test_leads_to_the_scores_of_the_period(self, home, banking, as_role, step, name):
        scores = {
            band: scored_signal(home.org, banking, band).pk for band in ("high_match", "medium_match", "no_match")
        }
        scored_signal(home.org, banking, "high_match", ts=AT - timedelta(days=2))
        scored_signal(home.org, SpotlightFactory(org=home.org), "high_match")
        client = as_role(Role.VIEWER)
        lines = client.get(LINK, {**MARCH, "step": step}).context["figures"].lines
        (line,) = [line for line in lines if (line[0].text, line[1].text) == ("Banking", name)]
        assert [cell.text for cell in line[2:8]] == ["3", "1", "1", "0", "1", "66.7 %"]
        page = client.get(line[3].link)
        assert [row.signal_id for row in page.context["cl"].result_list] == [scores["high_match"]]
        assert len(shown(client, line[2])) == 3


class TestConversion:
    def test_leads_to_the_signals_that_got_so_far(self, home, banking, as_role):
        won = scored_signal(home.org, banking, "high_match")
        scored_signal(home.org, banking, "high_match")
        candidate = CandidateFactory(org=home.org, status="promoted", promoted_at=AT)
        CandidateSignal.all_orgs.create(org=home.org, candidate=candidate, signal=won, linked_at=AT)
        PursuitFactory(org=home.org, candidate=candidate, stage="won", submitted_at=AT, closed_at=AT)
        client = as_role(Role.VIEWER)
        lines = client.get(LINK, {**MARCH, "shown": "conversion"}).context["figures"].lines
        assert [cell.text for cell in lines[0]] == [
            *("High match", "2", "1", "1", "1", "0"),
            *("50.0 %", "50.0 %", "100.0 %"),
        ]
        for cell in lines[0][2:5]:
            page = client.get(cell.link)
            assert [row.signal_id for row in page.context["cl"].result_list] == [won.pk]
        assert len(shown(client, lines[0][1])) == 2
        assert shown(client, lines[0][5]) == set()


class TestFields:
    def test_draws_what_is_known_and_met(self, home, banking, as_role):
        wish = SpotlightCriterionFactory(org=home.org, spotlight=banking)
        for credit in (1, 0, None, None):
            scored_signal(home.org, banking, "low_match", components=[[wish.pk, credit, None, "signal"]])
        figures = as_role(Role.VIEWER).get(LINK, {**MARCH, "shown": "fields"}).context["figures"]
        drawn = {each["label"]: each["data"] for each in json.loads(figures.charts[0].data)["datasets"]}
        assert drawn == {"Met": [1], "Partial": [0], "Unmet": [1], "Unknown": [2]}
        assert [cell.text for cell in figures.lines[0][3:5]] == ["4", "50.0 %"]


class TestScoresNow:
    def test_leads_to_the_scores_of_a_band(self, home, banking, as_role):
        signal = scored_signal(home.org, banking, "high_match")
        scored_signal(home.org, banking, "no_match")
        client = as_role(Role.VIEWER)
        line = client.get(LINK, {"shown": "scores"}).context["figures"].lines[0]
        assert [cell.text for cell in line[:7]] == ["Banking", "Signals", "2", "1", "0", "0", "1"]
        page = client.get(line[3].link)
        assert [row.signal_id for row in page.context["cl"].result_list] == [signal.pk]


@pytest.mark.parametrize("part", PARTS)
def test_the_button_downloads_the_rows(home, banking, as_role, part):
    SpotlightCriterionFactory(org=home.org, spotlight=banking)
    scored_signal(home.org, banking, "high_match")
    client = as_role(Role.VIEWER)
    page = client.get(LINK, {**MARCH, "shown": part})
    text = client.get(LINK + page.context["csv_link"]).content.decode("utf-8-sig")
    assert len(list(csv.DictReader(io.StringIO(text)))) == len(page.context["figures"].rows) > 0


def test_has_no_script_of_its_own(home, as_role):
    banking = SpotlightFactory(org=home.org, name='"><script>alert(1)</script>')
    scored_signal(home.org, banking, "high_match")
    page = as_role(Role.VIEWER).get(LINK, MARCH)
    assert "<script>alert(1)" not in page.content.decode()


def test_alerts_are_listed_and_changed_by_nobody(home, banking, as_role):
    alert = MatchAlertFactory(org=home.org, spotlight=banking)
    client = as_role(Role.ADMIN)
    text = client.get(reverse("admin:spotlight_matchalert_changelist"), {"standing": "open"}).content.decode()
    assert "2.0 % of at least 5 %" in text
    page = reverse("admin:spotlight_matchalert_change", args=[alert.pk])
    assert client.get(page).status_code == 200
    assert client.post(page, {"signals": 1}).status_code == 403
    alert.refresh_from_db()
    assert alert.signals == 100
