"""What the deterministic extractor finds in single sentences, and what it leaves alone."""

from __future__ import annotations

import datetime
import time
from decimal import Decimal

import pytest

from memory.extraction import Passage, Statement, extract
from memory.extraction.types import Money
from tests.bench.memory.extraction import STATED, labelled, quality


def one(text: str, **beside: object):
    found = extract(Passage(text, **beside), "en")
    assert len(found) == 1, found
    return found[0]


class TestStatements:
    @pytest.mark.parametrize(
        ("text", "kind", "topic"),
        [
            ("The board approved the budget.", "decision", "approval"),
            ("We won't renew the service contract.", "decision", "rejection"),
            ("Their budget is frozen until summer.", "risk", "budget"),
            ("Kessler undercut us.", "risk", "price"),
            ("She prefers email to phone calls.", "preference", "channel"),
            ("He insists on net 60.", "preference", "commercial"),
            ("Our quote is 18,400 EUR.", "note", "amount"),
            ("Next call is on Thursday.", "note", "date"),
            ("Rosa is the decision maker.", "note", "role"),
        ],
    )
    def test_a_sentence_becomes_its_kind_with_its_topic(self, text, kind, topic):
        found = one(text)
        assert (found.kind, found.topic, found.text) == (kind, topic, text)

    @pytest.mark.parametrize(
        "text",
        [
            "They have not approved the budget.",
            "The board has never signed the contract.",
            "If they approve it, we start.",
            "Once the contract is signed we can ship.",
            "Did they sign the contract?",
            "There is no risk of delay.",
            "The budget is not frozen.",
            "The problem with the integration is solved, no concerns.",
            "They have no preference.",
            "Do you prefer email?",
            "Who is the decision maker?",
            "We make flow meters.",
        ],
    )
    def test_what_is_denied_supposed_or_asked_is_not_stated(self, text):
        assert extract(Passage(text), "en") == []

    def test_a_negated_preference_stays_one_and_says_so(self):
        found = one("Please do not call her.")
        assert (found.kind, found.is_negated) == ("preference", True)

    def test_a_decision_carries_its_amount_and_day(self):
        found = one("They signed the contract for €48,000 on 12 May 2026.")
        assert found.statements == (Statement.DECISION, Statement.AMOUNT, Statement.DATE)
        assert found.amount == Money(Decimal(48_000), "EUR")
        assert found.date == datetime.date(2026, 5, 12)
        assert found.tags == ("amount", "date", "signature")

    def test_a_sentence_of_two_kinds_gives_one_extract_of_each(self):
        found = extract(Passage("They approved the pilot, but legal has concerns."), "en")
        assert [each.kind for each in found] == ["decision", "risk"]
        assert {each.text for each in found} == {"They approved the pilot, but legal has concerns."}

    def test_a_day_without_a_year_is_the_next_after_the_text_was_written(self):
        text = "The quote is due on 3 March."
        assert one(text).date is None
        assert one(text, written_on=datetime.date(2026, 2, 1)).date == datetime.date(2026, 3, 3)
        assert one(text, written_on=datetime.date(2026, 4, 1)).date == datetime.date(2027, 3, 3)

    @pytest.mark.parametrize(
        ("text", "value", "currency"),
        [
            ("Price: 1.200,50 EUR", "1200.50", "EUR"),
            ("Price: $1,200.50", "1200.50", "USD"),
            ("They pay 40k a year.", "40000", ""),
            ("It costs 1.5 million dollars.", "1500000", "USD"),
            ("Budget of CHF 12'500 is there.", "12500", "CHF"),
            ("The offer is £900.", "900", "GBP"),
        ],
    )
    def test_amounts_are_read_as_people_write_them(self, text, value, currency):
        assert one(text).amount == Money(Decimal(value), currency)

    def test_the_part_of_a_role_is_named_and_its_denial_kept(self):
        found = one("Quentin is not the decision maker.")
        assert (found.subject_role, found.is_negated) == ("decision maker", True)

    def test_a_hedged_statement_is_worth_less(self):
        sure, hedged = one("She prefers email."), one("I think she prefers email.")
        assert sure.confidence > hedged.confidence

    def test_of_other_languages_only_money_is_read(self):
        text = "Das Budget beträgt 40.000 EUR. Wir haben entschieden, approved the contract."
        found = extract(Passage(text), "de")
        assert [each.statements for each in found] == [(Statement.AMOUNT,)]

    def test_slots_are_unique_and_the_same_each_time(self):
        text = "She prefers email. He prefers email. The board approved the budget. They approved the pilot."
        first, second = extract(Passage(text, source_field="body")), extract(Passage(text, source_field="body"))
        slots = [each.slot for each in first]
        assert slots == [each.slot for each in second]
        assert len(set(slots)) == len(slots) == 4
        assert all(slot.startswith("body:") for slot in slots)


class TestLabelledSentences:
    def test_there_are_enough_of_each_statement_and_of_none(self):
        sentences = [*labelled("development"), *labelled("held_out")]
        assert len(sentences) >= 300
        assert len({sentence.text for sentence in sentences}) == len(sentences)
        for statement in STATED:
            assert sum(statement in sentence.states for sentence in sentences) >= 25
        assert sum(not sentence.states for sentence in sentences) >= 75

    @pytest.mark.parametrize("part", ["development", "held_out"])
    def test_the_extractor_is_as_good_as_it_was(self, part):
        found = quality(labelled(part))
        assert found["all"].precision >= 0.90
        assert found["all"].recall >= 0.85
        for statement in STATED:
            assert found[statement.value].precision >= 0.80, statement
            assert found[statement.value].recall >= 0.80, statement

    def test_no_inbound_message_decides(self):
        inbound = [Passage(row.text, is_inbound_email=True) for row in labelled("held_out") + labelled("development")]
        assert {found.kind for passage in inbound for found in extract(passage)} == {"risk", "preference", "note"}


class TestSpeed:
    @pytest.mark.parametrize(
        "text",
        [
            "prefers " * 7_000,
            "budget frozen not " * 3_000,
            "<a " * 20_000,
            "<!--" * 15_000,
            "1,000" * 12_000,
            "they approved the " + "very " * 10_000 + "offer",
            "a. " * 20_000,
            ("on by via " * 60 + ". ") * 100,
            "> " * 30_000,
            "\u200b" * 60_000,
        ],
    )
    def test_no_text_takes_long(self, text):
        began = time.perf_counter()
        extract(Passage(text, is_inbound_email=True))
        assert time.perf_counter() - began < 5
