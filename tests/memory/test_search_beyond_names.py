"""Whoever a question names counts as named, and the name no longer as a word."""

from __future__ import annotations

from datetime import timedelta

import pytest

from flowledger.tenancy.actors import Actor
from memory.search.questions import beyond, read
from memory.services.search import search
from tests.factories import ClientFactory, OrganizationFactory
from tests.memory.factories import AtomFactory
from tests.workstream.factories import AT


def left(question: str, *names: str) -> set[str]:
    return {word.text.casefold() for word in beyond(read(question).words, names) if word.weight == 1.0}


class TestBeyond:
    def test_leaves_out_the_words_of_names(self) -> None:
        assert left("Who decided at Grieve & Tollard?", "Grieve Tollard") == {"who", "decided", "at"}

    def test_compares_without_case_and_accents(self) -> None:
        assert left("What does Inés ROBLEDO dislike?", "ines robledo") == {"what", "does", "dislike"}

    @pytest.mark.parametrize("question", ["Kettleworth", "Who is Kettleworth?", "What do we have of Kettleworth?"])
    def test_keeps_a_question_that_would_ask_nothing_without(self, question: str) -> None:
        words = read(question).words
        assert beyond(words, ["Kettleworth"]) == words


@pytest.mark.django_db
def test_sentences_that_only_repeat_the_name_do_not_stand_before_the_answer() -> None:
    org = OrganizationFactory()
    client = ClientFactory(org=org, name="Kettleworth Bakeries")
    for number in range(12):
        AtomFactory(
            org=org,
            client=client,
            kind="status",
            content=f"Point {number} of the review for Kettleworth Bakeries is done.",
            thread_key="client:1",
            occurred_at=AT - timedelta(days=number),
        )
    answer = AtomFactory(
        org=org,
        client=client,
        content="Their drivers leave at four.",
        thread_key="client:1",
        occurred_at=AT - timedelta(days=40),
    )

    results = search(org=org, question="When do drivers leave Kettleworth?", actor=Actor.system("tests"), at=AT)

    assert results.hits[0].atom.pk == answer.pk
