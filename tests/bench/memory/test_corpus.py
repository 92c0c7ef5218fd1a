"""The questions of the suite are what the benchmark says that they are."""

from __future__ import annotations

import re

import pytest

from tests.bench.memory import corpus
from tests.bench.memory.corpus import Corpus


@pytest.fixture(scope="module")
def written() -> Corpus:
    return corpus.written()


def test_there_are_two_hundred_questions_and_half_of_them_name_nobody(written: Corpus) -> None:
    nameless = [question for question in written.questions if not question.names]
    assert len(written.questions) >= 200
    assert len(nameless) * 2 >= len(written.questions)
    held_out = [question for question in written.questions if question.half == "held-out"]
    assert len(held_out) >= 100


def test_a_story_is_in_one_half_only(written: Corpus) -> None:
    companies: dict[str, set[str]] = {}
    for story in written.stories:
        companies.setdefault(story.company, set()).add(story.half)
    assert all(len(halves) == 1 for halves in companies.values())
    assert {half for halves in companies.values() for half in halves} == set(corpus.HALVES)


def test_no_question_is_asked_twice(written: Corpus) -> None:
    texts = [question.text for question in written.questions]
    assert len(set(texts)) == len(texts)


def test_no_question_copies_five_words_in_a_row_of_its_answer(written: Corpus) -> None:
    """Asking in the words of the note would measure a phrase search."""
    copies = []
    for question in written.questions:
        lines = [written.story(question.story).line(label).text for label in question.evidence]
        if any(_runs(question.text) & _runs(line) for line in lines):
            copies.append(question.text)
    assert copies == []


def _runs(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.casefold())
    return {tuple(words[start : start + 5]) for start in range(len(words) - 4)}


def test_a_name_is_seen_and_a_trade_is_none(written: Corpus) -> None:
    names = {question.text: question.names for question in written.questions}
    assert names["What is a good hour to ring Marion Ostrow?"]
    assert names["What happened when Kettleworth's deliveries kept going out late?"]
    assert not names["When can the owners of the bakery with the crate sorter approve a purchase of that size?"]


def test_drawn_stories_are_the_same_again_and_no_company_of_theirs_has_a_question(written: Corpus) -> None:
    drawn = list(corpus.background(40))
    assert drawn == list(corpus.background(40))
    assert not {story.company for story in drawn} & {story.company for story in written.stories}


def test_a_line_that_means_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="No step of a story: z jump: high"):
        corpus._step("z jump: high")
