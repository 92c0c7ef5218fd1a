"""What raw values mean: amounts as people write them, yes and no, days; and why some mean nothing."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spotlight.evaluation.reading import facts_from, fold_name, is_blank, problem_of, raw_shown, read
from spotlight.evaluation.types import Fact
from tests.spotlight.evaluations import ANY_JSON


class TestNumber:
    @pytest.mark.parametrize(
        ("raw", "value"),
        [
            (50_000, 50_000), (1.5, 1.5), (Decimal("99.90"), 99.9), (-3, -3), (0, 0),
            ("50k", 50_000), ("50K", 50_000), ("1.2m", 1_200_000), ("1,5 Mio. €", 1_500_000), ("2bn", 2_000_000_000),
            ("$50,000", 50_000), ("-$50", -50), ("USD 50k", 50_000), ("50kEUR", 50_000), ("50 000 €", 50_000),
            ("50\u00a0000\u202f€", 50_000), ("1.234,56", 1_234.56), ("1,234.56", 1_234.56), ("1.234.567", 1_234_567),
            ("12,34,567", 1_234_567), ("1'000", 1_000), ("10 000 000,50", 10_000_000.5), ("1.234", 1_234),
            ("0.125", 0.125), ("12345.678", 12_345.678), ("3,5", 3.5), (".5", 0.5), ("1e5", 100_000), ("20%", 20),
            ("−5", -5), ("+5", 5), ("５０", 50), (" 7 ", 7),
        ],
    )  # fmt: skip
    def test_is_read_as_people_write_it(self, raw: Any, value: float):
        assert read("number", raw).values == (value,)

    @pytest.mark.parametrize(
        "text",
        [
            "50-200", "51-200 employees", "50k–200k", "$50,000 - $100,000", "50 to 60", "100k+", "5001+", ">100k",
            "≤ 5", "up to 5", "more than 20 people", "10 or more",
        ],
    )  # fmt: skip
    def test_of_a_range_is_unknown_and_says_so(self, text: str):
        assert read("number", text) == ((), (), f"“{text}” is a range")

    @pytest.mark.parametrize(
        ("raw", "problem"),
        [
            ("tbd", "“tbd” is not a number"),
            ("1.23.4", "“1.23.4” is not a number"),
            ("2026-03-01", "“2026-03-01” is not a number"),
            ("12 34", "“12 34” is not a number"),
            ("1.250m", "“1.250m” can be read as two numbers"),
            (True, "“yes” is not a number"),
            (float("nan"), "“nan” is not a number"),
            (float("inf"), "“inf” is not a number"),
            (10**20, "“1e20” is too large a number"),
            ({"amount": 5}, "“{amount}” is not a number"),
            ("9" * 70, f"“{'9' * 39}…” is not a number"),
        ],
    )  # fmt: skip
    def test_that_cannot_be_read_says_why(self, raw: Any, problem: str):
        assert read("number", raw) == ((), (), problem)

    def test_of_any_length_is_too_large(self):
        """Python itself refuses to write an integer of more than 4,300 digits."""
        assert read("number", -(10**5_000)).problem == "“-1e5000” is too large a number"

    @pytest.mark.parametrize("raw", ["tbd", "50-200", True, [True, "tbd"]])
    def test_that_could_not_be_read_still_says_why_when_it_is_shown(self, raw: Any):
        assert problem_of("number", raw_shown(raw)) == read("number", raw).problem

    @settings(deadline=None)
    @given(st.integers(-(10**15), 10**15), st.sampled_from([",", ".", " ", "'"]))
    def test_with_thousands_separators_is_the_number(self, number: int, mark: str):
        if abs(number) >= 1_000:
            assert read("number", f"{number:,}".replace(",", mark)).values == (number,)


class TestBoolean:
    @pytest.mark.parametrize("raw", [True, 1, 1.0, "yes", "Yes", "TRUE", "y", "1", "ja"])
    def test_is_yes(self, raw: Any):
        assert read("boolean", raw).values == (True,)

    @pytest.mark.parametrize("raw", [False, 0, "no", "No", "false", "n", "0", "nein"])
    def test_is_no(self, raw: Any):
        assert read("boolean", raw).values == (False,)

    @pytest.mark.parametrize("raw", ["maybe", 2, 0.5, {"a": 1}])
    def test_is_neither(self, raw: Any):
        assert read("boolean", raw).values == ()
        assert read("boolean", raw).problem.endswith("is neither yes nor no")


class TestDate:
    @pytest.mark.parametrize(
        "raw",
        [
            "2026-03-01", " 2026-03-01 ", "2026-03-01T23:30:00Z", "2026-03-01 10:00:00.123+02:00", date(2026, 3, 1),
            datetime(2026, 3, 1, 23, tzinfo=UTC),
        ],
    )  # fmt: skip
    def test_is_the_day_that_is_written(self, raw: Any):
        assert read("date", raw) == ((date(2026, 3, 1).toordinal(),), ("2026-03-01",), "")

    @pytest.mark.parametrize(
        ("raw", "problem"),
        [
            ("2026-02-30", "“2026-02-30” is not a day of the calendar"),
            ("2026-03-01T25:00", "“2026-03-01T25:00” is not a day of the calendar"),
            ("2026-03-01 - 2026-04-01", "“2026-03-01 - 2026-04-01” is a range"),
            ("next week", "“next week” is not a date such as 2026-03-31"),
            (20260301, "“20260301” is not a date such as 2026-03-31"),
        ],
    )
    def test_that_cannot_be_read_says_why(self, raw: Any, problem: str):
        assert read("date", raw) == ((), (), problem)


class TestText:
    @pytest.mark.parametrize(
        ("raw", "folded"),
        [
            ("  Financial \n Services ", "financial services"),
            ("STRASSE", "strasse"),
            ("Straße", "strasse"),
            ("ﬁnance", "finance"),
            (5, "5"),
            (5.0, "5"),
            (True, "yes"),
            ("\ud800x\x00", "?x"),
        ],
    )
    def test_is_folded(self, raw: Any, folded: str):
        assert read("text", raw).values == (folded,)
        assert read("enum", raw).values == (folded,)

    def test_of_an_object_is_unknown(self):
        assert read("text", {"name": "Ann"}).problem == "“{name}” is not a single value"


class TestList:
    def test_holds_the_values_of_its_elements(self):
        assert read("number", ["50k", "tbd", None, 7]).values == (50_000, 7)
        assert read("number", ["50k", "tbd"]).problem == ""

    def test_of_nothing_readable_says_why(self):
        assert read("number", ["", "tbd", "50-200"]) == ((), (), "“tbd” is not a number")


class TestBlank:
    @pytest.mark.parametrize("raw", [None, "", " \n", [], {}])
    @pytest.mark.parametrize("kind", ["text", "number", "boolean", "enum", "date"])
    def test_is_nothing_and_no_problem(self, raw: Any, kind: str):
        assert is_blank(raw)
        assert read(kind, raw) == ((), (), "")

    @pytest.mark.parametrize("raw", [0, False, "0", [0]])
    def test_is_not_what_says_no(self, raw: Any):
        assert not is_blank(raw)

    def test_elements_leave_a_list_blank(self):
        assert read("text", [None, " "]) == ((), (), "")


class TestAnyValue:
    @settings(deadline=None)
    @given(ANY_JSON, st.sampled_from(["text", "number", "boolean", "enum", "date"]))
    def test_has_values_or_a_problem_or_is_blank(self, raw: Any, kind: str):
        found = read(kind, raw)

        assert len(found.values) == len(found.shown)
        assert not (found.values and found.problem)


class TestFacts:
    def test_have_folded_names_and_no_blanks(self):
        assert facts_from({"Company-Size": 5, "annual  revenue": "", "company size": 6, "X": None}, "client", 2) == {
            "company_size": Fact(5, "client", 2)
        }

    @pytest.mark.parametrize("name", ["annual_revenue", "Annual Revenue", "ANNUAL-revenue", " annual__revenue "])
    def test_match_by_name_in_any_spelling(self, name: str):
        assert fold_name(name) == "annual_revenue"
