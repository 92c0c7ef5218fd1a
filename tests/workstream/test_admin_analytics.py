"""The analytics pages: who sees them, what they show, and that each number leads to the rows behind it."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta

import pytest
from django.urls import reverse

from flowledger.tenancy.actors import Role
from tests.workstream.factories import AT, CandidateFactory, PursuitFactory, SolutionFactory, StageHistoryFactory
from tests.workstream.report_rows import clock, closed_pursuit, panel_row

PAGES = ("funnel", "velocity", "sla_compliance", "workload", "outcomes")
MARCH = {"from": "2026-03-01", "to": "2026-03-31"}


def link(name):
    return reverse(f"admin:analytics_{name}")


def cells(page):
    return {line[0].text: line for line in page.context["figures"].lines}


def shown(client, cell):
    """The rows of the list that a number leads to."""
    assert cell.link
    page = client.get(cell.link)
    assert page.status_code == 200, cell.link
    return {row.pk for row in page.context["cl"].result_list}


class TestPages:
    @pytest.mark.parametrize("name", PAGES)
    def test_are_for_members_and_say_when_there_is_nothing(self, home, abroad, as_role, client, name):
        closed_pursuit(abroad.org, "won", promoted_at=AT - timedelta(days=1), closed_at=AT)
        panel_row(abroad.org)
        page = as_role(Role.VIEWER).get(link(name), MARCH)
        assert page.status_code == 200
        assert page.context["figures"].is_empty
        assert page.context["analysis"].empty in page.content.decode()
        assert client.get(link(name)).status_code == 302

    def test_stand_in_the_menu(self, home, as_role):
        text = as_role(Role.VIEWER).get(reverse("admin:overview")).content.decode()
        assert "Analytics" in text
        assert all(link(name) in text for name in PAGES)

    @pytest.mark.parametrize("days", [{"from": "never"}, {"from": "2026-03-02", "to": "2026-03-01"}])
    def test_days_that_mean_nothing_are_told(self, home, as_role, days):
        page = as_role(Role.VIEWER).get(link("velocity"), days)
        assert page.status_code == 200
        assert 'role="alert"' in page.content.decode()

    def test_have_no_script_of_their_own_and_data_that_is_escaped(self, home, as_role):
        closed_pursuit(
            home.org,
            "won",
            promoted_at=AT - timedelta(days=1),
            closed_at=AT,
            solution=SolutionFactory(org=home.org, name='"><script>alert(1)</script>'),
        )
        page = as_role(Role.VIEWER).get(link("outcomes"), {**MARCH, "group_by": "product"})
        assert "<script>alert(1)" not in page.content.decode()
        chart = json.loads(page.context["figures"].charts[0].data)
        assert chart["labels"] == ['"><script>alert(1)</script>']


class TestDrillDown:
    def test_funnel_to_the_items_of_a_stage(self, home, as_role):
        rows = CandidateFactory.create_batch(2, org=home.org, status="triaged")
        CandidateFactory(org=home.org)
        client = as_role(Role.VIEWER)
        lines = client.get(link("funnel")).context["figures"].lines
        (count,) = [line[2] for line in lines if line[1].text == "Triaged"]
        assert count.text == "2"
        assert shown(client, count) == {row.pk for row in rows}

    def test_velocity_to_the_stays_of_a_month(self, home, as_role):
        stay = StageHistoryFactory(org=home.org, left_at=AT + timedelta(hours=2), left_for="pink")
        StageHistoryFactory(org=home.org, entered_at=AT - timedelta(days=40))
        client = as_role(Role.VIEWER)
        (line,) = client.get(link("velocity"), MARCH).context["figures"].lines
        assert [cell.text for cell in line[2:5]] == ["1", "2.00", "2.00"]
        assert shown(client, line[2]) == {stay.pk}

    def test_compliance_to_the_breaches(self, home, as_role):
        breached = clock(home.org, breached_at=AT)
        clock(home.org, "proposal_sla", breached_at=AT)
        client = as_role(Role.MANAGER)
        line = cells(client.get(link("sla_compliance"), MARCH))["Triage"]
        assert line[2].text == line[4].text == "1"
        assert shown(client, line[4]) == {breached.breaches.get().pk}

    def test_workload_to_the_panel_of_the_owner(self, home, as_role):
        owner = home.people[Role.REP]
        panel_row(home.org, owner=owner)
        line = next(iter(cells(as_role(Role.VIEWER).get(link("workload"))).values()))
        assert line[1].link == f"{reverse('admin:index')}?owner={owner.pk}"
        assert as_role(Role.VIEWER).get(line[1].link).status_code == 200

    def test_outcomes_to_the_pursuits(self, home, as_role):
        desk = SolutionFactory(org=home.org, name="Desk")
        owner = home.people[Role.REP]
        won = closed_pursuit(
            home.org, "won", promoted_at=AT - timedelta(days=1), closed_at=AT, solution=desk, owner=owner
        )
        closed_pursuit(home.org, "won", promoted_at=AT - timedelta(days=90), closed_at=AT - timedelta(days=60))
        PursuitFactory(org=home.org)
        client = as_role(Role.VIEWER)
        for by, name in (("product", "Desk"), ("period", "Mar 2026"), ("agent", str(owner.get_full_name() or owner))):
            line = cells(client.get(link("outcomes"), {**MARCH, "group_by": by}))[name]
            assert line[1].text == "1"
            assert shown(client, line[1]) == {won.pk}
        quarter = cells(client.get(link("outcomes"), {**MARCH, "step": "quarter"}))["Q1 2026"]
        assert shown(client, quarter[1]) == {won.pk}


@pytest.mark.parametrize("name", PAGES)
def test_the_button_downloads_the_rows(home, as_role, name):
    closed_pursuit(home.org, "won", promoted_at=AT - timedelta(days=1), closed_at=AT)
    StageHistoryFactory(org=home.org)
    panel_row(home.org)
    client = as_role(Role.VIEWER)
    page = client.get(link(name), MARCH)
    assert page.context["csv_link"] in page.content.decode().replace("&amp;", "&")
    file = client.get(link(name) + page.context["csv_link"])
    assert file.headers["Content-Type"].startswith("text/csv")
    text = file.content.decode("utf-8-sig")
    assert len(list(csv.DictReader(io.StringIO(text)))) == len(page.context["figures"].rows) > 0
