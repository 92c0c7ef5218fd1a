"""`GET /api/memory/search`: its shape, its filters, and what is refused."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.factories import ClientFactory, ContactFactory
from tests.memory.factories import AtomFactory
from tests.queries import counted_queries
from tests.workstream.trail import nothing_changes

SEARCH = "/api/memory/search"


@pytest.fixture
def client(org):
    return ClientFactory(org=org, name="Hartmann Logistik")


@pytest.fixture
def atom(org, client):
    return AtomFactory(
        org=org,
        content="They prefer deliveries on Monday mornings.",
        kind="preference",
        tags=["fleet"],
        contact=ContactFactory(org=org, name="Ann Lee", client=client),
        through=[client],
    )


class TestAnswer:
    def test_says_everything_in_the_documented_form(self, as_viewer, client, atom):
        response = as_viewer.get(f"{SEARCH}?q={quote('When does Hartmann want deliveries?')}")

        body = response.json()
        assert response.status_code == 200
        assert body["mode"] == "lexical"
        assert body["named"] == [
            {"entity_type": "client", "entity_id": client.pk, "name": "Hartmann Logistik", "words": "Hartmann"}
        ]
        assert body["pagination"] == {"page": 1, "limit": 10, "total": 1, "next_cursor": None}
        (hit,) = body["data"]
        assert hit["atom"]["atom_id"] == atom.pk
        assert hit["atom"]["sources"][0]["source_type"]
        assert hit["matched"] == ["prefer", "deliveries"]
        (passage,) = hit["passages"]
        shown = [passage["text"][mark["start"] : mark["end"]] for mark in passage["highlights"]]
        assert shown == ["prefer", "deliveries"]
        assert hit["score"] == pytest.approx(sum(hit["parts"].values()))
        assert hit["parts"]["entity"] > 0

    @pytest.mark.parametrize(
        ("narrowed", "is_found"),
        [
            ("atom_type=preference", True),
            ("atom_type=risk,preference", True),
            ("atom_type=risk", False),
            ("tag=fleet", True),
            ("tag=other", False),
            ("entity_type=client&entity_id={client}", True),
            ("entity_type=contact&entity_id={client}", False),
            ("since=2000-01-01", True),
            ("until=2000-01-01T00:00:00Z", False),
            ("author_id=1", False),
            ("include_archived=true&sort=recent", True),
        ],
    )
    def test_filters_narrow(self, as_viewer, client, atom, narrowed, is_found):
        address = f"{SEARCH}?q=deliveries&{narrowed.format(client=client.pk + (10**6 if 'contact' in narrowed else 0))}"

        body = as_viewer.get(address).json()

        assert [hit["atom"]["atom_id"] for hit in body["data"]] == ([atom.pk] if is_found else [])

    def test_a_cursor_reads_on(self, org, as_viewer):
        for number in range(5):
            AtomFactory(org=org, content=f"Machine {number} is late.")
        first = as_viewer.get(f"{SEARCH}?q=late&limit=3").json()

        second = as_viewer.get(f"{SEARCH}?q=late&limit=3&cursor={first['pagination']['next_cursor']}").json()

        seen = [hit["atom"]["atom_id"] for page in (first, second) for hit in page["data"]]
        assert len(seen) == len(set(seen)) == 5
        assert second["pagination"] == {"page": 2, "limit": 3, "total": 5, "next_cursor": None}

    def test_asks_as_often_for_many_as_for_one(self, org, as_viewer, client, atom):
        as_viewer.get(f"{SEARCH}?q=deliveries")
        with counted_queries() as one:
            as_viewer.get(f"{SEARCH}?q=deliveries")
        AtomFactory.create_batch(20, org=org, content="Deliveries are late.")
        with counted_queries() as many:
            body = as_viewer.get(f"{SEARCH}?q=deliveries&limit=20").json()

        assert len(body["data"]) == 20
        assert len(many) == len(one) <= 8


class TestRefusals:
    @pytest.mark.parametrize(
        ("asked", "field"),
        [
            ("", "q"),
            ("q=", "q"),
            ("q=%00", "q"),
            ("q=?!", "q"),
            (f"q={'a' * 1_001}", "q"),
            ("q=x&limit=0", "limit"),
            ("q=x&limit=51", "limit"),
            ("q=x&limit=ten", "limit"),
            ("q=x&atom_type=wish", "atom_type"),
            ("q=x&entity_type=client", "entity_id"),
            ("q=x&entity_id=1", "entity_type"),
            ("q=x&entity_type=task&entity_id=1", "entity_type"),
            ("q=x&since=yesterday", "since"),
            ("q=x&author_id=-1", "author_id"),
            ("q=x&include_archived=perhaps", "include_archived"),
            ("q=x&tag=a%00b", "tag"),
            ("q=x&sort=best", "sort"),
            ("q=x&cursor=abc", "cursor"),
            ("q=x&kinds=note", "kinds"),
        ],
    )
    def test_what_means_nothing_is_named(self, as_viewer, asked, field):
        with nothing_changes():
            response = as_viewer.get(f"{SEARCH}?{asked}")

        assert response.status_code == 400
        assert list(response.json()["fields"]) == [field]

    @pytest.mark.parametrize(
        "question",
        [
            *("7xdeliveries", "' OR 1=1 --", ":*", "a:* | b & !c <-> d"),
            *("\u202edeliveries", "x" * 999, "\U0001f600 day", "\\"),
        ],
    )
    def test_odd_questions_are_answered_or_refused_in_words(self, as_viewer, atom, question):
        response = as_viewer.get(f"{SEARCH}?q={quote(question)}")

        assert response.status_code in {200, 400}
        assert "error" in response.json() or "data" in response.json()
