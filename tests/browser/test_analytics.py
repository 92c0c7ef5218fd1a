"""The analytics pages draw: charts have a size and pixels, numbers lead on, and the console stays silent."""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.sync_api import expect

from flowledger.tenancy.actors import Role
from flowledger.tenancy.scope import system_scope
from tests.workstream.factories import AT, StageHistoryFactory
from tests.workstream.report_rows import clock, closed_pursuit, panel_row

# Whether anything was drawn into the canvas.
DRAWN = "each => each.getContext('2d').getImageData(0, 0, each.width, each.height).data.some(value => value !== 0)"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_page_draws_its_charts(open_page, home, log_in, dark):
    with system_scope("tests"):
        closed_pursuit(home.org, "won", promoted_at=AT - timedelta(days=3), closed_at=AT)
        StageHistoryFactory(org=home.org, left_at=AT + timedelta(hours=2), left_for="pink")
        clock(home.org, outcome="met", stopped_at=AT)
        panel_row(home.org)
    page = open_page(dark=dark)
    log_in(page, home.people[Role.VIEWER])
    for name in ("funnel", "velocity", "sla-compliance", "workload", "outcomes"):
        page.goto(f"/admin/analytics/{name}/?from=2026-03-01&to=2026-03-31")
        charts = page.locator("canvas.chart")
        expect(charts.first).to_be_visible()
        page.wait_for_function(f"Array.from(document.querySelectorAll('canvas.chart')).every({DRAWN})")
        expect(page.get_by_role("link", name="Download CSV")).to_be_visible()


def test_a_number_leads_to_its_rows(page, home, log_in):
    with system_scope("tests"):
        won = closed_pursuit(home.org, "won", promoted_at=AT - timedelta(days=3), closed_at=AT, title="Packing line")
    log_in(page, home.people[Role.VIEWER])
    page.goto("/admin/analytics/outcomes/?from=2026-03-01&to=2026-03-31")
    page.get_by_role("link", name="1", exact=True).first.click()
    expect(page.get_by_role("link", name=won.title)).to_be_visible()
