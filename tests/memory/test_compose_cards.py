"""What a card says, chosen from atoms: sections, order, variety, and a size that is never exceeded."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.cards.composing import (
    LINE_CHARACTERS,
    PER_SECTION,
    SECTIONS,
    SUMMARY_BYTES,
    TOP_ATOMS,
    TOP_PER_KIND,
    clipped,
    compose,
)
from memory.cards.types import CardAtom, Origin

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)


def atom(number: int, kind: str = "note", score: float = 10.0, **more: Any) -> CardAtom:
    """An atom from a source of its own."""
    source = more.pop("source", number)
    fields: dict[str, Any] = {
        "content": f"Line {number}.",
        "occurred_at": AT + timedelta(minutes=number % 1_000_000),
        "entity_type": "client",
        "entity_id": 3,
        "origin": Origin(source_type="activity", source_id=source),
    }
    return CardAtom(atom_id=number, kind=kind, score=score, **{**fields, **more})


def ids(lines: Any) -> list[int]:
    return [line["atom_id"] for line in lines]


class TestSections:
    def test_each_kind_has_its_own_the_most_relevant_first(self):
        kinds = ["decision", "risk", "preference"]
        atoms = [atom(10 * place + number, kind, score=number) for place, kind in enumerate(kinds) for number in (1, 2)]

        summary = compose(atoms).summary

        assert ids(summary["decisions"]) == [2, 1]
        assert ids(summary["risks"]) == [12, 11]
        assert ids(summary["preferences"]) == [22, 21]
        assert summary["key_facts"] == summary["recent_activity"] == []

    def test_activity_is_notes_and_statuses_the_newest_first(self):
        atoms = [atom(1, "note", score=90), atom(2, "status", score=1), atom(3, "decision")]

        assert ids(compose(atoms).summary["recent_activity"]) == [2, 1]

    def test_facts_are_what_is_pinned_what_states_one_and_what_several_bear_out(self):
        atoms = [
            atom(1, tags=("amount",), score=30),
            atom(2, tags=("budget", "role"), score=20),
            atom(3, seen_count=2, score=10),
            atom(4, "decision", is_pinned=True, score=1),
            atom(5, tags=("competitor",), score=99),
            atom(6, "status", seen_count=7),
        ]

        summary = compose(atoms).summary

        assert ids(summary["key_facts"]) == [4, 1, 2, 3]
        # What is a fact is no activity as well; a pinned decision is a decision all the same.
        assert ids(summary["recent_activity"]) == [6, 5]
        assert ids(summary["decisions"]) == [4]

    def test_a_section_has_so_many_lines_and_no_more(self):
        atoms = [atom(number, "risk", score=number) for number in range(1, 20)]

        assert ids(compose(atoms).summary["risks"]) == [19, 18, 17, 16, 15]

    def test_of_a_source_that_has_spoken_each_further_line_counts_half(self):
        one = [atom(number, "risk", score=100 - number, source=77) for number in range(1, 5)]
        others = [atom(11, "risk", score=60), atom(12, "risk", score=40)]

        # 99, then 98/2 and 97/4 of the same source beside 60 and 40.
        assert ids(compose([*one, *others]).summary["risks"]) == [1, 11, 2, 12, 3]

    def test_activity_shows_two_lines_of_one_mail_at_most(self):
        mail = [atom(number, source=5) for number in range(1, 7)]

        assert ids(compose([*mail, atom(0)]).summary["recent_activity"]) == [6, 5, 0]

    def test_a_line_says_of_what_it_was_said_and_that_it_is_contested(self):
        [line] = compose([atom(1, "risk", conflict_id=9, entity_type="pursuit", entity_id=4)]).summary["risks"]

        assert line == {
            "atom_id": 1,
            "text": "Line 1.",
            "occurred_at": "2026-03-02T09:01:00Z",
            "entity_type": "pursuit",
            "entity_id": 4,
            "conflict_id": 9,
        }

    def test_of_nothing_nothing_is_said(self):
        assert compose([]).summary == {name: [] for name in SECTIONS}
        assert compose([]).top_atoms == []


class TestTop:
    def test_ranks_all_kinds_with_a_quota_for_each(self):
        decisions = [atom(number, "decision", score=100) for number in range(1, 9)]
        statuses = [atom(number, "status", score=1) for number in range(11, 19)]

        top = compose([*statuses, *decisions]).top_atoms

        assert ids(top) == [8, 7, 6, 5, 4, 18, 17, 16, 15, 14]
        assert len(top) == TOP_ATOMS == 2 * TOP_PER_KIND

    def test_what_is_pinned_stands_first_and_shows_its_score_and_source(self):
        first = Origin("signal", 8, "signal.created", "https://crm.example/8", AT)

        [pinned, other] = compose([atom(1, score=90), atom(2, score=3.14159, is_pinned=True, origin=first)]).top_atoms

        assert other["atom_id"] == 1
        assert (pinned["score"], pinned["is_pinned"], pinned["atom_type"], pinned["role"]) == (
            3.14,
            True,
            "note",
            "subject",
        )
        assert pinned["source"] == {
            "source_type": "signal",
            "source_id": 8,
            "event_name": "signal.created",
            "url": "https://crm.example/8",
            "occurred_at": "2026-03-02T09:00:00Z",
        }


class TestClipping:
    @pytest.mark.parametrize(
        ("text", "characters", "expected"),
        [
            ("They  prefer\nemail.", 40, "They prefer email."),
            ("They prefer email", 17, "They prefer email"),
            ("They prefer email.", 17, "They prefer…"),
            ("Donaudampfschifffahrt", 10, "Donaudamp…"),
        ],
    )
    def test_ends_between_words(self, text, characters, expected):
        assert clipped(text, characters) == expected

    @given(st.text(max_size=400), st.integers(min_value=2, max_value=200))
    def test_never_exceeds_the_length(self, text, characters):
        assert len(clipped(text, characters)) <= characters


TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=400)
ATOMS = st.lists(
    st.builds(
        atom,
        st.integers(min_value=1, max_value=2**62),
        st.sampled_from(["decision", "risk", "preference", "note", "status"]),
        st.floats(min_value=0, max_value=120),
        content=TEXTS,
        source=st.integers(min_value=1, max_value=5),
        is_pinned=st.booleans(),
        seen_count=st.integers(min_value=1, max_value=3),
        entity_type=st.just("engagement"),
        entity_id=st.just(2**62),
        conflict_id=st.just(2**62),
    ),
    max_size=60,
    unique_by=lambda each: each.atom_id,
)


class TestAnyAtoms:
    @given(ATOMS)
    def test_a_summary_fits_and_says_every_kind_that_there_is(self, atoms):
        composed = compose(atoms)

        written = json.dumps(composed.summary, ensure_ascii=False, separators=(",", ":")).encode()
        assert len(written) <= SUMMARY_BYTES
        for name, kind in [("decisions", "decision"), ("risks", "risk"), ("preferences", "preference")]:
            assert bool(composed.summary[name]) == any(each.kind == kind for each in atoms)
        known = {each.atom_id for each in atoms}
        for section in composed.summary.values():
            assert len(section) <= PER_SECTION
            assert len(set(ids(section))) == len(section)
            assert set(ids(section)) <= known
            assert all(len(line["text"]) <= LINE_CHARACTERS for line in section)

    @given(ATOMS, st.randoms())
    def test_the_order_in_which_atoms_are_read_changes_nothing(self, atoms, random):
        shuffled = list(atoms)
        random.shuffle(shuffled)

        assert compose(shuffled) == compose(atoms)
