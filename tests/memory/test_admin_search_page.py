"""The page "Memory search": what it shows of an answer, what it refuses, and whose rows it never shows."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import quote

import pytest
from django.urls import reverse
from django.utils.timezone import now

from flowledger.tenancy.actors import Role
from memory.admin.search_page import pieces_of
from memory.models import AtomSource, Audience
from memory.search.types import Passage
from tests.factories import ClientFactory
from tests.memory.card_rows import remember
from tests.queries import counted_queries
from tests.workstream.back_office import address


def page_for(question, **more):
    query = "&".join(f"{name}={quote(str(value))}" for name, value in {"q": question, **more}.items())
    return f"{reverse('admin:memory_search')}?{query}"


def shown(response):
    return [line.hit.atom.content for line in response.context["lines"]]


class TestMemorySearch:
    def test_shows_the_passage_the_reasons_and_the_source(self, home, as_role):
        client = ClientFactory(org=home.org, name="Kettleworth Bakeries")
        atom = remember(home.org, "Flour <dust> ruined the bearings.", kind="risk", client=client, at=now())
        source = AtomSource.all_orgs.get(atom=atom)

        response = as_role(Role.VIEWER).get(page_for("bearings at Kettleworth"))

        text = response.content.decode()
        assert shown(response) == ["Flour <dust> ruined the bearings."]
        assert "Flour &lt;dust&gt; ruined the <mark>bearings</mark>." in text
        assert f'href="{address(type(client), "change", client.pk)}">Kettleworth Bakeries</a>' in text
        assert reverse("admin:workstream_activity_change", args=[source.source_id]) in text
        [line] = response.context["lines"]
        assert {"words", "named"} <= {name for name, _ in line.parts}
        assert [link.name for link in response.context["named"]] == ["Kettleworth Bakeries"]
        assert 'data-mode="lexical"' in text

    def test_narrows_to_a_kind_and_to_an_entity(self, home, as_role):
        one, other = ClientFactory(org=home.org), ClientFactory(org=home.org)
        remember(home.org, "The sorter is loud.", kind="risk", client=one, at=now())
        remember(home.org, "The sorter is blue.", kind="note", client=one, at=now())
        remember(home.org, "The sorter is late.", kind="risk", client=other, at=now())
        reader = as_role(Role.VIEWER)

        narrowed = reader.get(page_for("sorter", kind="risk", entity_type="client", entity_id=one.pk))

        assert shown(narrowed) == ["The sorter is loud."]
        assert "Only what is known of <a" in narrowed.content.decode()
        assert len(shown(reader.get(page_for("sorter")))) == 3

    def test_shows_nothing_of_others(self, home, abroad, as_role):
        remember(abroad.org, "The sorter of the neighbours.", client=ClientFactory(org=abroad.org), at=now())
        remember(
            home.org,
            "The sorter for managers.",
            client=ClientFactory(org=home.org),
            audience=Audience.MANAGERS,
            at=now(),
        )

        assert shown(as_role(Role.REP).get(page_for("sorter"))) == []
        assert shown(as_role(Role.MANAGER).get(page_for("sorter"))) == ["The sorter for managers."]

    def test_a_question_without_a_word_gets_a_sentence_and_no_list(self, home, as_role):
        response = as_role(Role.VIEWER).get(page_for("?!"))

        assert response.status_code == 200
        assert response.context["results"] is None
        assert response.context["refusal"] in response.content.decode()

    @pytest.mark.parametrize("wrong", ["nonsense", "eyJ:abc:def"])
    def test_a_cursor_that_is_none_gets_a_sentence(self, home, as_role, wrong):
        response = as_role(Role.VIEWER).get(page_for("sorter", cursor=wrong))

        assert response.status_code == 200
        assert "start again" in response.content.decode()

    def test_goes_on_to_the_next_page(self, home, as_role):
        client = ClientFactory(org=home.org)
        for number in range(25):
            remember(home.org, f"Sorter number {number}.", client=client, at=now() - timedelta(hours=number))
        reader = as_role(Role.VIEWER)

        first = reader.get(page_for("sorter"))
        second = reader.get(reverse("admin:memory_search") + first.context["next_link"])

        assert (len(shown(first)), len(shown(second))) == (20, 5)
        assert not set(shown(first)) & set(shown(second))
        assert second.context["next_link"] == ""

    def test_a_longer_list_takes_no_more_queries(self, home, as_role):
        reader = as_role(Role.VIEWER)
        remember(home.org, "Sorter one.", client=ClientFactory(org=home.org), at=now())
        reader.get(page_for("sorter"))
        with counted_queries() as few:
            reader.get(page_for("sorter"))
        for number in range(10):
            remember(home.org, f"Sorter {number}.", client=ClientFactory(org=home.org), at=now())
        with counted_queries() as many:
            assert len(shown(reader.get(page_for("sorter")))) == 11
        assert len(many) == len(few)

    def test_without_a_question_it_asks_for_one(self, home, as_role):
        response = as_role(Role.VIEWER).get(reverse("admin:memory_search"))

        assert "Ask what you would ask a colleague." in response.content.decode()


def test_a_passage_is_cut_into_what_answers_and_what_does_not() -> None:
    passage = Passage("the flour dust", ((4, 9),), is_cut_before=True, is_cut_after=False)
    assert pieces_of(passage) == [("… ", False), ("the ", False), ("flour", True), (" dust", False)]
