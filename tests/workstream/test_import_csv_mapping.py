"""Mapping columns to fields, and reading what cells say in several countries' spellings."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from workstream.intake import csv_values
from workstream.intake.csv_fields import client_fields, contact_fields, signal_fields, size_band
from workstream.intake.csv_mapping import (
    KINDS,
    MappingRefused,
    allowed_fields,
    check_mapping,
    guess_mapping,
    mapped_cells,
    plain,
)
from workstream.intake.csv_values import UnreadableCell
from workstream.intake.fields import FIELD_NAMES, FieldErrors


class TestGuess:
    @pytest.mark.parametrize(
        ("kind", "headings", "fields"),
        [
            (
                "contacts",
                ["E-Mail-Adresse", "VORNAME", "Nachname", "Firma"],
                ["email", "first_name", "last_name", "company_name"],
            ),
            (
                "contacts",
                ["email_address", "Full Name", "Job-Title", "Phone Number"],
                ["email", "name", "title", "phone"],
            ),
            (
                "contacts",
                ["Courriel", "Prénom", "Téléphone", "Société"],
                ["email", "first_name", "phone", "company_name"],
            ),
            (
                "clients",
                ["Company Name", "Web Site", "# Employees", "Country"],
                ["name", "domain", "size_band", "country"],
            ),
            (
                "clients",
                ["Firma", "Webseite", "Branche", "Umsatz", "Land"],
                ["name", "domain", "industry", "annual_revenue", "country"],
            ),
            ("signals", ["Message", "Your name", "Email", "Created At"], ["snippet", None, "contact_email", "ts"]),
            ("signals", ["attributes.Region", "text"], ["attributes.Region", "snippet"]),
        ],
    )
    def test_knows_headings_in_several_spellings(self, kind, headings, fields):
        guessed = guess_mapping(kind, headings)

        assert [guessed.get(heading) for heading in headings] == fields

    def test_gives_a_field_to_one_column_the_best(self):
        assert guess_mapping("contacts", ["E-mail 2", "Mail", "Email"]) == {"Email": "email"}

    @pytest.mark.parametrize("kind", KINDS)
    def test_what_it_guesses_is_allowed(self, kind):
        headings = [spelling for mapped in KINDS[kind].fields.values() for spelling in mapped.spellings]
        headings = list(dict.fromkeys(headings))

        assert check_mapping(kind, headings, guess_mapping(kind, headings))

    def test_the_fields_of_signals_are_those_that_are_read(self):
        columns = {name.partition(".")[0] for name in allowed_fields("signals")}

        assert columns - {"first_name", "last_name"} <= set(FIELD_NAMES)


class TestCheck:
    def test_refuses_with_what_is_allowed(self):
        with pytest.raises(MappingRefused) as refused:
            check_mapping("clients", ["A", "B", "C"], {"A": "name", "B": "fax", "D": "domain", "C": "name"})

        assert set(refused.value.columns) == {"B", "C", "D"}
        assert "choose one of: name, domain" in refused.value.columns["B"][0]

    def test_wants_something_to_go_by(self):
        with pytest.raises(MappingRefused, match="at least one column"):
            check_mapping("contacts", ["A"], {"A": "title"})

    @pytest.mark.parametrize("name", ["attributes.", "attributes." + "x" * 61, "attributes", "name.first"])
    def test_refuses_members_without_a_name(self, name):
        with pytest.raises(MappingRefused):
            check_mapping("clients", ["A", "B"], {"A": name, "B": "name"})

    def test_leaves_out_what_is_not_chosen(self):
        assert check_mapping("clients", ["A", "B"], {"B": "name", "A": ""}) == {"B": "name"}


class TestCells:
    def test_blank_ones_say_nothing(self):
        mapping = {"A": "name", "B": "domain"}

        assert mapped_cells(["A", "B", "C"], [" Acme ", "  ", "x"], mapping) == {"name": "Acme"}

    def test_the_apostrophe_of_an_export_is_taken_off(self):
        assert [plain(text) for text in ("'+4930123456", "'=1+1", "'tis", "O'Hara")] == [
            *("+4930123456", "=1+1", "'tis", "O'Hara")
        ]


class TestValues:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("2026-03-31", datetime(2026, 3, 30, 22, tzinfo=UTC)),
            ("2026-03-31T14:05:00Z", datetime(2026, 3, 31, 14, 5, tzinfo=UTC)),
            ("2026-03-31 14:05+02:00", datetime(2026, 3, 31, 12, 5, tzinfo=UTC)),
            ("31.3.2026", datetime(2026, 3, 30, 22, tzinfo=UTC)),
            ("31.12.2025 14:05", datetime(2025, 12, 31, 13, 5, tzinfo=UTC)),
            ("12/31/2025 14:05:10", datetime(2025, 12, 31, 13, 5, 10, tzinfo=UTC)),
            ("31/12/2025", datetime(2025, 12, 30, 23, tzinfo=UTC)),
            ("3/3/2026", datetime(2026, 3, 2, 23, tzinfo=UTC)),
            ("2026/03/31", datetime(2026, 3, 30, 22, tzinfo=UTC)),
        ],
    )
    def test_moments(self, text, expected):
        assert csv_values.moment(text, "Europe/Berlin") == expected

    @pytest.mark.parametrize("text", ["03/04/2026", "yesterday", "32.1.2026", "0001-01-01", "9999-12-31", "45000"])
    def test_what_is_no_moment_or_may_be_two(self, text):
        with pytest.raises(UnreadableCell):
            csv_values.moment(text, "Europe/Berlin")

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            *(("1234567.89", "1234567.89"), ("1,234,567.89", "1234567.89"), ("1.234.567,89", "1234567.89")),
            *(("1 234 567,89 €", "1234567.89"), ("$1,250", "1250"), ("1'250.5", "1250.5"), ("12,5", "12.5")),
            *(("1.250", "1250"), ("0", "0"), ("-5", "-5")),
        ],
    )
    def test_amounts(self, text, expected):
        assert csv_values.amount(text) == Decimal(expected)

    @pytest.mark.parametrize("text", ["much", "1e9", "", "1-2", "NaN", "Infinity"])
    def test_what_is_no_amount(self, text):
        with pytest.raises(UnreadableCell):
            csv_values.amount(text)

    def test_bands(self):
        bands = [size_band(text) for text in ("51–200", "1 - 10", "120", "1,200", "6000")]

        assert bands == ["51-200", "1-10", "51-200", "1001-5000", "5001+"]
        with pytest.raises(UnreadableCell):
            size_band("many")


class TestFields:
    def test_names_in_two_columns_are_one(self):
        assert contact_fields({"first_name": "Ann", "last_name": "Arbor"}).fields == {"name": "Ann Arbor"}
        assert signal_fields({"last_name": "Arbor"}, zone="UTC") == {"contact_name": "Arbor"}
        assert contact_fields({"first_name": "Ann", "name": "Dr Ann Arbor"}).fields == {"name": "Dr Ann Arbor"}

    def test_members_are_gathered(self):
        found = client_fields({"name": "Acme", "attributes.Region": "North", "attributes.Tier": "A", "client_id": "7"})

        assert (found.fields, found.record_id) == ({"name": "Acme"}, 7)
        assert found.members == {"attributes": {"Region": "North", "Tier": "A"}}

    def test_source_types_in_words(self):
        assert signal_fields({"source_type": "Web Form", "snippet": "x"}, zone="UTC")["source_type"] == "web_form"

    def test_every_cell_that_says_nothing_is_named(self):
        with pytest.raises(FieldErrors) as refused:
            contact_fields({"is_active": "perhaps", "client_id": "-1", "name": "Ann"})

        assert set(refused.value.errors) == {"is_active", "client_id"}

    @pytest.mark.parametrize("cells", [{}, {"ts": "2026-03-31"}, {"source_ref": "7"}])
    def test_a_row_without_anything_is_no_signal(self, cells):
        with pytest.raises(FieldErrors, match="says nothing"):
            signal_fields(cells, zone="UTC")
