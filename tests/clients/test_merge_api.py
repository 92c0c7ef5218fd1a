"""Merging, undoing and deciding over REST, and old identifiers that still lead somewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flowledger.clients.models import Client, Contact, IdentityConflict
from flowledger.clients.services import merge_clients, merge_contacts, undo_merge
from flowledger.tenancy.actors import Role
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope
from tests.client import ApiClient
from tests.clients.merge_world import AT, CLERK, LATER, conflict, contents, moved_tables
from tests.factories import ClientFactory, ContactFactory
from tests.queries import counted_queries
from workstream import services as pipeline
from workstream.models import Signal

pytestmark = pytest.mark.django_db

ApiFor = Callable[..., ApiClient]
FACTORIES: dict[str, Any] = {"contact": ContactFactory, "client": ClientFactory}
MERGES: dict[str, Any] = {"contact": merge_contacts, "client": merge_clients}
KINDS = pytest.mark.parametrize("kind", ["contact", "client"])


def two(org: Organization, kind: str) -> tuple[Any, Any]:
    return FACTORIES[kind](org=org, name="One"), FACTORIES[kind](org=org, name="Two")


def merged(survivor: Any, loser: Any) -> Any:
    merge = MERGES[survivor._meta.model_name]
    return merge(org=survivor.org, survivor_id=survivor.pk, loser_id=loser.pk, actor=CLERK, at=LATER)


class TestMerge:
    @KINDS
    def test_answers_with_the_merge_which_can_be_read_listed_and_undone(
        self, org: Organization, api_for: ApiFor, kind: str
    ) -> None:
        survivor, loser = two(org, kind)
        with org_scope(org):
            Signal.objects.for_org(org).create(org=org, source_type="note", ts=AT, **{kind: loser})
        before = contents(org)
        api = api_for(Role.MANAGER)
        signed_in = contents(org)
        body = {"survivor_id": survivor.pk, "loser_id": loser.pk, "fields": {"name": "loser"}, "reason": "One firm"}
        preview = api.post(f"/api/{kind}s/merge/preview", body)
        assert preview.status_code == 200, preview.content
        (name,) = [pair for pair in preview.json()["fields"] if pair["differs"]]
        assert (name["survivor"], name["loser"], name["result"]) == ("One", "Two", "Two")
        assert preview.json()["moves"] == [
            {"label": f"workstream.signal.{kind}", "name": "signals", "moved": 1, "left": 0}
        ]
        created = api.post(f"/api/{kind}s/merge", body)
        assert created.status_code == 201, created.content
        merge = created.json()
        assert (merge["entity_type"], merge["survivor_id"], merge["loser_id"]) == (kind, survivor.pk, loser.pk)
        assert (merge["moved"], merge["choices"]["name"]) == ({f"workstream.signal.{kind}": 1}, "loser")
        assert (merge["reason"], merge["undone_at"]) == ("One firm", None)
        path = f"/api/{kind}s/merges/{merge['merge_id']}"
        read = api.get(path)
        assert read.json()["loser_before"]["name"] == "Two"
        assert read["ETag"] == created["ETag"]
        assert [each["merge_id"] for each in api.get(f"/api/{kind}s/merges").json()["data"]] == [merge["merge_id"]]
        undone = api.post(f"{path}/undo", headers={"If-Match": read["ETag"]})
        assert undone.status_code == 200, undone.content
        assert undone.json()["undo_report"] == {
            "returned": {f"workstream.signal.{kind}": 1},
            "kept_count": 0,
            "kept": [],
        }
        assert moved_tables(before, signed_in) == {"tenancy_membership"}
        assert moved_tables(signed_in, contents(org)) == set()
        assert api.post(f"{path}/undo").status_code == 409
        assert api.get(f"/api/{kind}s/merges?undone=false").json()["data"] == []
        assert len(api.get(f"/api/{kind}s/merges?undone=true&survivor_id={survivor.pk}").json()["data"]) == 1

    def test_a_merge_of_the_other_kind_is_not_found(self, org: Organization, api_for: ApiFor) -> None:
        record = merged(*two(org, "contact"))
        api = api_for(Role.MANAGER)
        assert api.get(f"/api/clients/merges/{record.pk}").status_code == 404
        assert api.post(f"/api/clients/merges/{record.pk}/undo").status_code == 404
        assert api.get("/api/clients/merges").json()["data"] == []

    @pytest.mark.parametrize(
        ("change", "status", "field"),
        [
            ({"survivor_id": 0}, 400, "survivor_id"),
            ({"loser_id": 2**63}, 400, "loser_id"),
            ({"fields": ["name"]}, 400, "fields"),
            ({"fields": {"name": 1}}, 400, "fields"),
            ({"fields": {"shoe_size": "loser"}}, 400, "fields.shoe_size"),
            ({"fields": {"name": "both"}}, 400, "fields.name"),
            ({"winner": 1}, 400, "winner"),
            ({"loser_id": 10**12}, 404, None),
        ],
    )
    def test_a_bad_body_is_answered_with_a_sentence(
        self, org: Organization, api_for: ApiFor, change: Any, status: int, field: str | None
    ) -> None:
        survivor, loser = two(org, "contact")
        api = api_for(Role.MANAGER)
        before = contents(org)
        answer = api.post("/api/contacts/merge", {"survivor_id": survivor.pk, "loser_id": loser.pk, **change})
        assert answer.status_code == status, answer.content
        assert answer.json()["error"]
        if field:
            assert list(answer.json()["fields"]) == [field]
        assert moved_tables(before, contents(org)) == set()


class TestOldIdentifiers:
    @KINDS
    def test_are_read_as_the_survivor(self, org: Organization, api_for: ApiFor, kind: str) -> None:
        survivor, loser = two(org, kind)
        merged(survivor, loser)
        api = api_for(Role.VIEWER)
        by_old, by_new = api.get(f"/api/{kind}s/{loser.pk}"), api.get(f"/api/{kind}s/{survivor.pk}")
        assert by_old.status_code == 200
        assert by_old.json() == by_new.json()
        assert by_old.json()[f"{kind}_id"] == survivor.pk
        assert by_old["ETag"] == by_new["ETag"]
        headers = {"If-None-Match": by_new["ETag"]}
        assert api.get(f"/api/{kind}s/{loser.pk}", headers=headers).status_code == 304
        assert [each[f"{kind}_id"] for each in api.get(f"/api/{kind}s").json()["data"]] == [survivor.pk]

    @KINDS
    def test_below_them_is_what_is_below_the_survivor(self, org: Organization, api_for: ApiFor, kind: str) -> None:
        survivor, loser = two(org, kind)
        for row in (survivor, loser):
            on: dict[str, Any] = {"org": org, "item_type": kind, "item_id": row.pk, "actor": CLERK, "at": AT}
            pipeline.log_activity(**on, kind="note", summary=f"Spoke with {row.name}")
        merged(survivor, loser)
        api = api_for(Role.VIEWER)
        below = ["notes"] if kind == "contact" else ["notes", "contacts", "tasks"]
        if kind == "client":
            ContactFactory(org=org, client=survivor)
        for part in below:
            by_old = api.get(f"/api/{kind}s/{loser.pk}/{part}").json()
            assert by_old == api.get(f"/api/{kind}s/{survivor.pk}/{part}").json()
            assert len(by_old["data"]) == {"notes": 2, "contacts": 1, "tasks": 0}[part]

    @KINDS
    def test_cannot_be_written_to(self, org: Organization, api_for: ApiFor, kind: str) -> None:
        survivor, loser = two(org, kind)
        merged(survivor, loser)
        api = api_for(Role.MANAGER)
        path = f"/api/{kind}s/{loser.pk}"
        etag = api.get(path)["ETag"]
        before = contents(org)
        answers = [
            api.patch(path, {"name": "Three"}, content_type="application/json"),
            api.patch(path, {"name": "Three"}, content_type="application/json", headers={"If-Match": etag}),
            api.delete(path),
            api.post(f"{path}/notes", {"summary": "Spoke"}),
        ]
        if kind == "client":
            answers += [api.post(f"{path}/contacts", {"name": "Ann"}), api.post(f"{path}/tasks", {"title": "Contract"})]
        for answer in answers:
            assert answer.status_code == 409, answer.content
            assert answer.json()[f"{kind}_id"] == survivor.pk
            assert f"was merged into {kind} {survivor.pk}" in answer.json()["error"]
        assert moved_tables(before, contents(org)) == set()
        stale = api.patch(path, {"name": "Three"}, content_type="application/json", headers={"If-Match": '"x-1-1-1"'})
        assert stale.status_code == 412

    def test_mean_the_survivor_in_bodies_and_filters(self, org: Organization, api_for: ApiFor) -> None:
        client, old_client = two(org, "client")
        contact, old_contact = two(org, "contact")
        merged(client, old_client)
        merged(contact, old_contact)
        api = api_for(Role.REP)
        body = {"title": "Press line", "client_id": old_client.pk, "contact_id": old_contact.pk}
        candidate = api.post("/api/candidates", body)
        assert candidate.status_code == 201, candidate.content
        assert (candidate.json()["client_id"], candidate.json()["contact_id"]) == (client.pk, contact.pk)
        new = api.post("/api/contacts", {"name": "Three", "client_id": old_client.pk}).json()
        assert new["client_id"] == client.pk
        with org_scope(org):
            Signal.objects.for_org(org).create(org=org, source_type="note", ts=AT, client=client, contact=contact)
        for path in (
            f"candidates?client_id={old_client.pk}",
            f"candidates?contact_id={old_contact.pk}",
            f"candidates?contact_id={old_contact.pk},{contact.pk}",
            f"signals?client_id={old_client.pk}",
            f"signals?contact_id={old_contact.pk}",
            f"contacts?client_id={old_client.pk}",
        ):
            assert len(api.get(f"/api/{path}").json()["data"]) == 1, path
        board = api.get(f"/api/workstream/board/candidates?client_id={old_client.pk}").json()
        assert sum(column["count"] for column in board["columns"]) == 1

    def test_an_etag_never_names_two_states(self, org: Organization, api_for: ApiFor) -> None:
        """An undo gives rows their old versions back; what is written then is not what was written before."""
        survivor, loser = two(org, "contact")
        api = api_for(Role.REP)
        path = f"/api/contacts/{survivor.pk}"
        first = api.get(path)["ETag"]
        record = merged(survivor, loser)
        second = api.get(path)["ETag"]
        undo_merge(org=org, merge_id=record.pk, actor=CLERK, at=LATER)
        assert api.get(path)["ETag"] == first
        third = api.patch(path, {"title": "CTO"}, content_type="application/json")["ETag"]
        assert len({first, second, third}) == 3
        assert [etag.split("-")[2] for etag in (first, second, third)] == ["1", "2", "2"]


class TestConflicts:
    @KINDS
    def test_are_shown_side_by_side_and_merged(self, org: Organization, api_for: ApiFor, kind: str) -> None:
        one, other = two(org, kind)
        pair = conflict(org, one, other)
        api = api_for(Role.MANAGER)
        (listed,) = api.get("/api/identity/conflicts?status=open").json()["data"]
        assert (listed["conflict_id"], listed["entity_type"], listed["kind"]) == (pair.pk, kind, "suggestion")
        assert listed["sides"] == [{"id": one.pk, "name": "One"}, {"id": other.pk, "name": "Two"}]
        path = f"/api/identity/conflicts/{pair.pk}"
        shown = api.get(path).json()
        (name,) = [each for each in shown["compared"] if each["differs"]]
        assert (name["name"], name["first"], name["second"]) == ("name", "One", "Two")
        body = {"resolution": "merge", "survivor_id": other.pk, "fields": {"name": "loser"}, "note": "The same"}
        answer = api.post(f"{path}/resolve", body)
        assert answer.status_code == 200, answer.content
        assert (answer.json()["status"], answer.json()["sides"][0]) == ("merged", {"id": other.pk, "name": "One"})
        merge = api.get(f"/api/{kind}s/merges/{answer.json()['merge_id']}").json()
        assert (merge["survivor_id"], merge["loser_id"], merge["reason"]) == (other.pk, one.pk, "The same")
        assert api.get("/api/identity/conflicts?status=open").json()["data"] == []
        assert api.post(f"{path}/resolve", body).status_code == 409

    def test_can_be_kept_apart_by_a_representative_and_not_merged(self, org: Organization, api_for: ApiFor) -> None:
        one, other = two(org, "contact")
        pair = conflict(org, one, other)
        api = api_for(Role.REP)
        path = f"/api/identity/conflicts/{pair.pk}/resolve"
        before = contents(org)
        assert api.post(path, {"resolution": "merge", "survivor_id": one.pk}).status_code == 403
        assert moved_tables(before, contents(org)) == set()
        kept = api.post(path, {"resolution": "keep_apart", "note": "Mother and daughter"})
        assert (kept.status_code, kept.json()["status"], kept.json()["merge_id"]) == (200, "kept_apart", None)
        assert kept.json()["note"] == "Mother and daughter"

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, "resolution"),
            ({"resolution": "perhaps"}, "resolution"),
            ({"resolution": "merge"}, "survivor_id"),
            ({"resolution": "merge", "survivor_id": 10**12}, "survivor_id"),
        ],
    )
    def test_a_bad_decision_is_refused(self, org: Organization, api_for: ApiFor, body: Any, field: str) -> None:
        pair = conflict(org, *two(org, "client"))
        api = api_for(Role.MANAGER)
        before = contents(org)
        answer = api.post(f"/api/identity/conflicts/{pair.pk}/resolve", body)
        assert (answer.status_code, list(answer.json()["fields"])) == (400, [field])
        assert moved_tables(before, contents(org)) == set()

    def test_filters(self, org: Organization, api_for: ApiFor) -> None:
        people, companies = two(org, "contact"), two(org, "client")
        first = conflict(org, *people, kind="conflict")
        second = conflict(org, *companies)
        api = api_for(Role.VIEWER)

        def found(query: str) -> set[int]:
            answer = api.get(f"/api/identity/conflicts?{query}")
            assert answer.status_code == 200, answer.content
            return {each["conflict_id"] for each in answer.json()["data"]}

        assert found("") == {first.pk, second.pk}
        assert found("entity_type=contact") == found("kind=conflict") == {first.pk}
        assert found(f"contact_id={people[1].pk}") == {first.pk}
        assert found(f"client_id={companies[0].pk}") == {second.pk}
        assert found("score_min=0.8") == found("status=kept_apart") == set()


class TestWhatListsCost:
    @pytest.mark.parametrize("path", ["/api/contacts/merges", "/api/identity/conflicts"])
    def test_the_same_for_two_rows_and_for_twenty(self, org: Organization, api_for: ApiFor, path: str) -> None:
        api = api_for(Role.VIEWER)
        counts = []
        for size in (2, 18):
            for _ in range(size):
                one, other = two(org, "contact")
                conflict(org, one, other, status="open")
                merged(one, other)
                conflict(org, *two(org, "client"))
            with counted_queries() as statements:
                rows = api.get(path).json()["data"]
            assert len(rows) >= size
            counts.append(len(statements))
        assert counts[0] == counts[1], counts


def test_nothing_of_a_stranger_is_found(org: Organization, other_org: Organization, api_for: ApiFor) -> None:
    theirs = [FACTORIES[kind](org=other_org) for kind in ("contact", "client")]
    pair = conflict(other_org, *two(other_org, "contact"))
    record = merged(*two(other_org, "contact"))
    mine = ContactFactory(org=org)
    api = api_for(Role.ADMIN)
    for survivor, loser in ((mine.pk, theirs[0].pk), (theirs[0].pk, mine.pk)):
        answer = api.post("/api/contacts/merge", {"survivor_id": survivor, "loser_id": loser})
        assert answer.status_code == 404
    assert api.get(f"/api/contacts/merges/{record.pk}").status_code == 404
    assert api.post(f"/api/contacts/merges/{record.pk}/undo").status_code == 404
    assert api.get(f"/api/identity/conflicts/{pair.pk}").status_code == 404
    with org_scope(other_org):
        assert IdentityConflict.objects.for_org(other_org).get(pk=pair.pk).status == "open"
        for model, row in ((Contact, theirs[0]), (Client, theirs[1])):
            assert model.objects.for_org(other_org).get(pk=row.pk).canonical_id is None
