"""Reports as CSV files: the same rows, safe in a spreadsheet, streamed."""

from __future__ import annotations

import csv
import io
from datetime import date, timedelta
from decimal import Decimal

import pytest

from flowledger.api.exports import cell, lines
from tests.factories import MembershipFactory
from tests.workstream.factories import AT, PursuitFactory, SolutionFactory
from tests.workstream.report_rows import closed_pursuit

MARCH = "?from=2026-03-01&to=2026-03-31"


def table(answer):
    assert answer.status_code == 200
    assert answer.streaming
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    text = b"".join(answer.streaming_content).decode()
    return list(csv.DictReader(io.StringIO(text)))


class TestCell:
    @pytest.mark.parametrize(
        "text",
        ["=1+1", "+49 30", "-cmd", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "＝1"],
    )
    def test_what_a_spreadsheet_would_calculate_is_text(self, text):
        assert cell(text) == f"'{text}"

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            ("Harbour = quay", "Harbour = quay"),
            (-5, "-5"),
            (Decimal("-0.50"), "-0.50"),
            (Decimal("1E+2"), "100"),
            (None, ""),
            (True, "true"),
            (date(2026, 3, 2), "2026-03-02"),
            (["=a", "b"], "'=a; b"),
        ],
    )
    def test_numbers_stay_numbers(self, value, text):
        assert cell(value) == text

    def test_lines_are_made_one_at_a_time(self):
        made = []

        def rows():
            for number in range(3):
                made.append(number)
                yield {"n": number}

        stream = lines(["n"], rows())
        assert (next(stream), made) == ("n\r\n", [])
        assert (next(stream), made) == ("0\r\n", [0])


@pytest.mark.django_db
class TestFiles:
    def outcome(self, org):
        closed_pursuit(
            org,
            "won",
            promoted_at=AT - timedelta(days=2),
            closed_at=AT,
            solution=SolutionFactory(org=org, name="=HYPERLINK(1)"),
            owner=MembershipFactory(org=org, user__first_name="@Ann", user__last_name="Moss").user,
            forecast_value=Decimal("12.30"),
        )

    def test_format_csv_answers_the_rows_with_formulas_disarmed(self, org, as_viewer):
        self.outcome(org)
        answer = as_viewer.get(f"/api/workstream/outcomes{MARCH}&group_by=product,agent&format=csv")
        assert answer.headers["Content-Disposition"] == 'attachment; filename="outcomes.csv"'
        (row,) = table(answer)
        assert (row["solution_name"], row["owner_name"]) == ("'=HYPERLINK(1)", "'@Ann Moss")
        assert (row["won"], row["revenue"], row["median_days_to_close"], row["other_revenue"]) == (
            *("1", "12.30", "2.0"),
            "",
        )
        assert "period" not in row

    @pytest.mark.parametrize(
        ("accept", "is_file"),
        [("text/csv", True), ("text/csv;q=0.9", True), ("application/json, text/csv", False), ("*/*", False)],
    )
    def test_the_accept_header_may_ask_for_it(self, org, as_viewer, accept, is_file):
        answer = as_viewer.get("/api/workstream/funnel", HTTP_ACCEPT=accept)
        assert answer.streaming is is_file
        if is_file:
            assert len(table(answer)) == 12

    def test_a_refusal_is_json_all_the_same(self, org, as_viewer):
        answer = as_viewer.get("/api/workstream/velocity?from=never", HTTP_ACCEPT="text/csv")
        assert (answer.status_code, answer.json()["code"]) == (400, "validation_error")

    def test_a_byte_order_mark_on_request(self, org, as_viewer):
        with_mark = as_viewer.get("/api/workstream/funnel?format=csv&bom=1")
        assert b"".join(with_mark.streaming_content).startswith(b"\xef\xbb\xbfitem_type,")
        without = as_viewer.get("/api/workstream/funnel?format=csv")
        assert b"".join(without.streaming_content).startswith(b"item_type,")

    @pytest.mark.parametrize(
        "report", ["funnel", "velocity", "sla-compliance", "workload", "identity-status", "outbox-health", "outcomes"]
    )
    def test_every_report_has_the_columns_of_its_rows(self, org, as_viewer, report):
        self.outcome(org)
        file = table(as_viewer.get(f"/api/workstream/{report}?format=csv"))
        body = as_viewer.get(f"/api/workstream/{report}").json()["data"]
        assert len(file) == len(body)
        assert all(set(line) == set(row) for line, row in zip(file, body, strict=True))

    def test_a_list_is_exported_whole_and_filtered(self, org, other_org, as_viewer, monkeypatch):
        monkeypatch.setattr("flowledger.api.exports._BATCH", 4)
        mine = PursuitFactory.create_batch(9, org=org, stage="pink", title="-3 % off")
        PursuitFactory(org=org)
        PursuitFactory(org=other_org, stage="pink")
        rows = table(as_viewer.get("/api/workstream/checklist-ready?format=csv&stage=pink&limit=2"))
        assert [int(row["pursuit_id"]) for row in rows] == [each.pk for each in mine]
        assert {row["title"] for row in rows} == {"'-3 % off"}
