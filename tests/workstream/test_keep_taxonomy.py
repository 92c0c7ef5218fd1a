"""The organisation's own words: problems, solutions, tags."""

from __future__ import annotations

from typing import Any

import pytest

from flowledger.errors import Conflict, PermissionRefused
from tests.workstream.conftest import actor_of
from tests.workstream.factories import AT, CLERK, ProblemFactory, SolutionFactory, TagFactory
from tests.workstream.trail import nothing_changes
from workstream import services
from workstream.models import Tag

pytestmark = pytest.mark.django_db

KINDS = {
    "problem": (ProblemFactory, "problems", {"name": "Downtime", "definition": "The press stops"}),
    "solution": (SolutionFactory, "solutions", {"name": "Retrofit", "list_price": "1200.00"}),
}


@pytest.mark.parametrize("kind", KINDS)
class TestOverRest:
    def test_adds_changes_and_lists_by_name(self, org, as_manager, as_viewer, kind):
        make, collection, body = KINDS[kind]
        make(org=org, name="Zebra")
        created = as_manager.post(f"/api/{collection}", body)

        assert created.status_code == 201
        assert created.json() | body == created.json()
        own = f"/api/{collection}/{created.json()[f'{kind}_id']}"
        changed = as_manager.patch(own, {"is_active": False}, content_type="application/json")
        assert (changed.status_code, changed.json()["is_active"]) == (200, False)
        assert changed["ETag"] != created["ETag"]
        assert as_viewer.get(own).json() == changed.json()
        assert [row["name"] for row in as_viewer.get(f"/api/{collection}").json()["data"]] == [body["name"], "Zebra"]

    def test_a_taken_name_is_a_conflict_in_any_case(self, org, as_manager, kind):
        make, collection, body = KINDS[kind]
        make(org=org, name=body["name"].upper())
        other = make(org=org)
        with nothing_changes():
            created = as_manager.post(f"/api/{collection}", body)
            renamed = as_manager.patch(
                f"/api/{collection}/{other.pk}", {"name": body["name"]}, content_type="application/json"
            )
        for answer in (created, renamed):
            assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
            assert body["name"] in answer.json()["error"]

    def test_another_organisation_has_words_of_its_own(self, org, other_org, as_manager, as_stranger, kind):
        make, collection, body = KINDS[kind]
        theirs = make(org=other_org, name=body["name"])
        with nothing_changes():
            answer = as_manager.patch(
                f"/api/{collection}/{theirs.pk}", {"name": "Mine"}, content_type="application/json"
            )
        assert answer.status_code == 404
        assert as_manager.post(f"/api/{collection}", body).status_code == 201

    @pytest.mark.parametrize("change", [{"name": ""}, {"name": "x" * 121}, {"mood": "good"}])
    def test_what_does_not_fit_is_refused(self, org, as_manager, kind, change):
        _, collection, body = KINDS[kind]
        with nothing_changes():
            assert as_manager.post(f"/api/{collection}", {**body, **change}).status_code == 400

    def test_a_rep_is_refused(self, org, as_rep, kind):
        _, collection, body = KINDS[kind]
        with nothing_changes():
            assert as_rep.post(f"/api/{collection}", body).status_code == 403


class TestTags:
    def test_are_listed_by_name_and_renamed_on_their_items(self, org, other_org, manager, as_viewer):
        candidate = services.create_candidate(org=org, fields={"title": "Press"}, tags=["hot"], actor=CLERK, at=AT)
        TagFactory(org=org, name="cold")
        TagFactory(org=other_org, name="abroad")
        tag = Tag.all_orgs.get(org=org, name="hot")
        old = as_viewer.get(f"/api/candidates/{candidate.pk}")["ETag"]
        services.save_tag(org=org, tag_id=tag.pk, fields={"name": "Warm"}, actor=actor_of(manager), at=AT)

        assert sorted(row["name"] for row in as_viewer.get("/api/tags").json()["data"]) == ["Warm", "cold"]
        shown = as_viewer.get(f"/api/candidates/{candidate.pk}", headers={"If-None-Match": old})
        assert (shown.status_code, shown.json()["tags"]) == (200, ["Warm"])

    def test_a_taken_name_is_a_conflict(self, org):
        hot, _ = (TagFactory(org=org, name=name) for name in ("hot", "cold"))
        with nothing_changes(), pytest.raises(Conflict):
            services.save_tag(org=org, tag_id=hot.pk, fields={"name": "COLD"}, actor=CLERK, at=AT)

    def test_a_rep_is_refused(self, org, rep: Any):
        with nothing_changes(), pytest.raises(PermissionRefused):
            services.save_tag(org=org, tag_id=None, fields={"name": "hot"}, actor=actor_of(rep), at=AT)
