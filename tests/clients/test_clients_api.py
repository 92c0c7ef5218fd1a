"""`/api/clients` and `/api/contacts`: shapes, statuses, walls, and what a list costs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from flowledger.clients.models import Client, Contact, IdentityKey, OnboardingTask
from flowledger.tenancy.actors import Role
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope, system_scope
from flowledger.tenancy.search import NEWEST_MATCHES
from tests.client import ApiClient
from tests.factories import ClientFactory, ContactFactory, MembershipFactory
from workstream.models import Candidate

ApiFor = Callable[..., ApiClient]


def queries_of(api: ApiClient, path: str) -> int:
    """Statements of a request after authentication and scope."""
    with CaptureQueriesContext(connection) as captured:
        response = api.get(path)
    assert response.status_code == 200, response.content
    frame = ("SAVEPOINT", "RELEASE SAVEPOINT", "SELECT set_config", "BEGIN", "COMMIT")
    credentials = ("tenancy_membership", "tenancy_apikey")
    return sum(
        not query["sql"].startswith(frame) and not any(name in query["sql"] for name in credentials)
        for query in captured
    )


class TestClients:
    def test_are_created_read_changed_and_deleted(self, org: Organization, api_for: ApiFor) -> None:
        api = api_for(Role.MANAGER)
        given = {
            "name": "Acme GmbH",
            "domain": "https://www.acme.com/about",
            "industry": "Software",
            "size_band": "11-50",
            "annual_revenue": "1250000.50",
            "country": "DE",
            "attributes": {"tier": 1, "tags": ["a"]},
        }
        created = api.post("/api/clients", given)
        assert created.status_code == 201
        body = created.json()
        assert body | {"created_at": "", "updated_at": ""} == given | {
            "client_id": body["client_id"],
            "domain": "acme.com",
            "is_active": True,
            "org_id": org.pk,
            "created_at": "",
            "updated_at": "",
        }
        path = f"/api/clients/{body['client_id']}"
        assert api.get(path).json() == body
        assert api.get(path).headers["ETag"] == created.headers["ETag"]
        changed = api.patch(path, {"country": "", "is_active": False}, content_type="application/json")
        assert (changed.json()["country"], changed.json()["is_active"]) == ("", False)
        assert changed.json()["domain"] == "acme.com"
        assert api.delete(path).status_code == 204
        assert api.get(path).status_code == 404

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, "name"),
            ({"name": ""}, "name"),
            ({"name": "x" * 201}, "name"),
            ({"name": "Acme", "domain": "no domain"}, "domain"),
            ({"name": "Acme", "country": "Germany"}, "country"),
            ({"name": "Acme", "country": "D1"}, "country"),
            ({"name": "Acme", "annual_revenue": "-1"}, "annual_revenue"),
            ({"name": "Acme", "annual_revenue": "many"}, "annual_revenue"),
            ({"name": "Acme", "size_band": "huge"}, "size_band"),
            ({"name": "Acme", "attributes": [1]}, "attributes"),
            ({"name": "Acme", "colour": "red"}, "colour"),
            ({"name": "Acme", "canonical_id": 1}, "canonical_id"),
        ],
    )
    def test_wrong_input_is_named_and_changes_nothing(
        self, org: Organization, api_for: ApiFor, body: dict[str, Any], field: str
    ) -> None:
        response = api_for().post("/api/clients", body)
        assert response.status_code == 400, response.content
        assert response.json()["code"] == "validation_error"
        assert field in response.json()["fields"]
        with org_scope(org):
            assert Client.objects.for_org(org).count() == 0
            assert IdentityKey.objects.for_org(org).count() == 0

    def test_the_domain_of_another_is_a_conflict(self, org: Organization, api_for: ApiFor) -> None:
        api = api_for()
        first = api.post("/api/clients", {"name": "Acme", "domain": "acme.com"}).json()
        response = api.post("/api/clients", {"name": "Copy", "domain": "acme.com"})
        assert response.status_code == 409
        assert response.json()["client_id"] == first["client_id"]
        with org_scope(org):
            assert Client.objects.for_org(org).count() == 1

    def test_one_with_pipeline_items_is_not_deleted(self, org: Organization, api_for: ApiFor) -> None:
        client = ClientFactory(org=org)
        at = client.created_at
        with system_scope("tests"):
            Candidate.all_orgs.create(org=org, title="Deal", client=client, last_touch_at=at, state_entered_at=at)
        response = api_for(Role.MANAGER).delete(f"/api/clients/{client.pk}")
        assert response.status_code == 409
        assert response.json()["used_by"] == {"candidates": 1}
        with org_scope(org):
            assert Client.objects.for_org(org).count() == 1

    def test_a_stale_copy_is_refused(self, org: Organization, api_for: ApiFor) -> None:
        api = api_for()
        created = api.post("/api/clients", {"name": "Acme"})
        path = f"/api/clients/{created.json()['client_id']}"
        tag = created.headers["ETag"]
        fresh = api.patch(path, {"name": "Apex"}, content_type="application/json", HTTP_IF_MATCH=tag)
        stale = api.patch(path, {"name": "Zenith"}, content_type="application/json", HTTP_IF_MATCH=tag)
        assert (fresh.status_code, stale.status_code) == (200, 412)
        assert api.get(path).json()["name"] == "Apex"
        assert api.get(path, HTTP_IF_NONE_MATCH=fresh.headers["ETag"]).status_code == 304

    @pytest.mark.parametrize(
        ("query", "names"),
        [
            ("", ["Gamma", "Beta Labs", "Alpha Labs"]),
            ("industry=Software", ["Beta Labs"]),
            ("country=de,fr", ["Beta Labs", "Alpha Labs"]),
            ("country=DE&country=FR", ["Beta Labs", "Alpha Labs"]),
            ("is_active=false", ["Gamma"]),
            ("domain=BETA.com", ["Beta Labs"]),
            ("name=alpha%20labs", ["Alpha Labs"]),
            ("size_band=11-50", ["Alpha Labs"]),
            ("revenue_min=100&revenue_max=1000", ["Alpha Labs"]),
            ("ordering=name", ["Alpha Labs", "Beta Labs", "Gamma"]),
            ("ordering=-created_at&limit=1", ["Gamma"]),
            ("q=labs", ["Beta Labs", "Alpha Labs"]),
            ("q=labs&country=DE", ["Alpha Labs"]),
            ("q=labs&ordering=name", ["Alpha Labs", "Beta Labs"]),
            ("q=nothing", []),
        ],
    )
    def test_are_listed(self, org: Organization, api_for: ApiFor, query: str, names: list[str]) -> None:
        ClientFactory(org=org, name="Alpha Labs", country="DE", size_band="11-50", annual_revenue=500)
        ClientFactory(org=org, name="Beta Labs", country="FR", industry="Software", domain="beta.com")
        survivor = ClientFactory(org=org, name="Gamma", is_active=False)
        ClientFactory(org=org, name="Gamma Labs", canonical=survivor)
        response = api_for(Role.VIEWER).get(f"/api/clients?{query}")
        assert [row["name"] for row in response.json()["data"]] == names

    @pytest.mark.parametrize("query", ["colour=red", "is_active=maybe", "size_band=huge", "ordering=secret", "limit=x"])
    def test_wrong_questions_are_refused(self, api_for: ApiFor, query: str) -> None:
        assert api_for().get(f"/api/clients?{query}").status_code == 400

    def test_a_search_that_stops_says_that_there_may_be_more(self, org: Organization, api_for: ApiFor) -> None:
        with system_scope("tests"):
            Client.all_orgs.bulk_create(Client(org=org, name=f"Acme {n}") for n in range(1001))
        api = api_for()
        stopped = api.get("/api/clients?q=acme").json()["pagination"]
        assert (stopped["total"], stopped["total_is_estimate"]) == (NEWEST_MATCHES, True)
        exact = api.get("/api/clients?q=acme&is_active=true").json()["pagination"]
        assert exact["total"] == 1001
        assert "total_is_estimate" not in exact


class TestNested:
    def test_contacts_of_a_client(self, org: Organization, api_for: ApiFor) -> None:
        api = api_for()
        client = ClientFactory(org=org)
        ContactFactory(org=org, name="Elsewhere")
        created = api.post(f"/api/clients/{client.pk}/contacts", {"name": "Ann", "phone": "030 123456"})
        assert created.status_code == 201
        assert (created.json()["client_id"], created.json()["phone"]) == (client.pk, "+4930123456")
        listed = api.get(f"/api/clients/{client.pk}/contacts").json()
        assert [row["name"] for row in listed["data"]] == ["Ann"]

    def test_onboarding_tasks(self, org: Organization, api_for: ApiFor) -> None:
        api = api_for()
        client = ClientFactory(org=org)
        member = MembershipFactory(org=org)
        path = f"/api/clients/{client.pk}/tasks"
        later = api.post(path, {"title": "Review", "due_date": "2026-05-01"}).json()
        first = api.post(
            path, {"title": "Kick-off", "due_date": "2026-04-01", "assignee_user_id": member.user_id}
        ).json()
        undated = api.post(path, {"title": "Some day"}).json()
        assert first["assignee_user_id"] == member.user_id
        assert [row["title"] for row in api.get(path).json()["data"]] == ["Kick-off", "Review", "Some day"]
        done = api.patch(f"{path}/{first['onboarding_task_id']}", {"status": "done"}, content_type="application/json")
        assert (done.status_code, done.json()["status"]) == (200, "done")
        assert done.json()["done_at"] is not None
        for task, status in ((later, "cancelled"), (undated, "open")):
            address = f"{path}/{task['onboarding_task_id']}"
            assert api.patch(address, {"status": status}, content_type="application/json").json()["status"] == status

    def test_a_task_is_its_clients_only(self, org: Organization, api_for: ApiFor) -> None:
        api = api_for()
        client, other = ClientFactory(org=org), ClientFactory(org=org)
        task = api.post(f"/api/clients/{client.pk}/tasks", {"title": "Kick-off"}).json()
        wrong = f"/api/clients/{other.pk}/tasks/{task['onboarding_task_id']}"
        assert api.patch(wrong, {"status": "done"}, content_type="application/json").status_code == 404
        with org_scope(org):
            assert OnboardingTask.objects.for_org(org).get().status == "open"

    @pytest.mark.parametrize(
        "body", [{"title": ""}, {"title": "x", "assignee_user_id": 999999}, {"title": "x", "due_date": "soon"}]
    )
    def test_wrong_tasks_are_refused(self, org: Organization, api_for: ApiFor, body: dict[str, Any]) -> None:
        client = ClientFactory(org=org)
        assert api_for().post(f"/api/clients/{client.pk}/tasks", body).status_code == 400
        assert api_for().post("/api/clients/999999/tasks", body).status_code == 404
        with org_scope(org):
            assert OnboardingTask.objects.for_org(org).count() == 0


class TestContacts:
    def test_are_created_read_changed_and_deleted(self, org: Organization, api_for: ApiFor) -> None:
        api = api_for(Role.MANAGER)
        client = ClientFactory(org=org)
        given = {
            "client_id": client.pk,
            "name": "Ann Lee",
            "email": "Ann@Acme.com",
            "phone": "(030) 123 456",
            "title": "CTO",
            "preferences": {"channel": "phone"},
            "social_links": {"web": "https://ann.example"},
        }
        created = api.post("/api/contacts", given)
        assert created.status_code == 201
        body = created.json()
        assert body | given == body | {**given, "email": "ann@acme.com", "phone": "+4930123456"} | {
            "email": given["email"],
            "phone": given["phone"],
        }
        assert (body["email"], body["phone"], body["is_active"]) == ("ann@acme.com", "+4930123456", True)
        path = f"/api/contacts/{body['contact_id']}"
        changed = api.patch(path, {"client_id": None, "email": ""}, content_type="application/json").json()
        assert (changed["client_id"], changed["email"], changed["name"]) == (None, "", "Ann Lee")
        assert api.delete(path).status_code == 204
        with org_scope(org):
            assert Contact.objects.for_org(org).count() == 0
            assert IdentityKey.objects.for_org(org).filter(contact__isnull=False).count() == 0

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, "name"),
            ({"name": "Ann", "email": "ann"}, "email"),
            ({"name": "Ann", "phone": "12"}, "phone"),
            ({"name": "Ann", "client_id": 999999}, "client_id"),
            ({"name": "Ann", "client_id": "abc"}, "client_id"),
            ({"name": "Ann", "preferences": "x"}, "preferences"),
        ],
    )
    def test_wrong_input_is_named_and_changes_nothing(
        self, org: Organization, api_for: ApiFor, body: dict[str, Any], field: str
    ) -> None:
        response = api_for().post("/api/contacts", body)
        assert response.status_code == 400, response.content
        assert field in response.json()["fields"]
        with org_scope(org):
            assert Contact.objects.for_org(org).count() == 0

    def test_anothers_client_cannot_be_named(self, org: Organization, other_org: Organization, api_for: ApiFor) -> None:
        theirs = ClientFactory(org=other_org)
        response = api_for().post("/api/contacts", {"name": "Spy", "client_id": theirs.pk})
        assert response.status_code == 400
        with system_scope("tests"):
            assert Contact.all_orgs.count() == 0

    @pytest.mark.parametrize(
        ("query", "names"),
        [
            ("", ["Cy", "Bob", "Ann"]),
            ("email=ANN@acme.com", ["Ann"]),
            ("phone=%2B4930123456", ["Bob"]),
            ("client_id={client}", ["Ann"]),
            ("client_id=none", ["Cy", "Bob"]),
            ("is_active=false", ["Cy"]),
            ("ordering=name", ["Ann", "Bob", "Cy"]),
            ("q=acme.com", ["Ann"]),
        ],
    )
    def test_are_listed(self, org: Organization, api_for: ApiFor, query: str, names: list[str]) -> None:
        client = ClientFactory(org=org)
        ContactFactory(org=org, name="Ann", email="ann@acme.com", client=client)
        ContactFactory(org=org, name="Bob", phone="+4930123456")
        ContactFactory(org=org, name="Cy", is_active=False)
        response = api_for(Role.VIEWER).get(f"/api/contacts?{query.format(client=client.pk)}")
        assert [row["name"] for row in response.json()["data"]] == names


class TestWalls:
    @pytest.mark.parametrize("method", ["get", "patch", "delete"])
    def test_a_strangers_rows_do_not_exist(
        self, org: Organization, other_org: Organization, api_for: ApiFor, method: str
    ) -> None:
        client = ClientFactory(org=org, name="Acme")
        contact = ContactFactory(org=org, name="Ann", client=client)
        stranger = api_for(Role.ADMIN, of=other_org)
        for path in (f"/api/clients/{client.pk}", f"/api/contacts/{contact.pk}"):
            given: list[Any] = [{"name": "Mine"}] if method == "patch" else []
            more = {"content_type": "application/json"} if method == "patch" else {}
            assert getattr(stranger, method)(path, *given, **more).status_code == 404
        assert stranger.get("/api/clients").json()["data"] == []
        assert stranger.get("/api/clients?q=acme").json()["data"] == []
        assert stranger.get(f"/api/clients/{client.pk}/contacts").status_code == 404
        with org_scope(org):
            assert [row.name for row in Client.objects.for_org(org)] == ["Acme"]

    def test_a_viewer_reads_and_a_representative_does_not_delete(self, org: Organization, api_for: ApiFor) -> None:
        client = ClientFactory(org=org)
        viewer = api_for(Role.VIEWER)
        assert viewer.get("/api/clients").status_code == 200
        assert viewer.post("/api/clients", {"name": "Acme"}).status_code == 403
        assert api_for(Role.REP).delete(f"/api/clients/{client.pk}").status_code == 403
        with org_scope(org):
            assert Client.objects.for_org(org).count() == 1


class TestCost:
    @pytest.mark.parametrize(
        ("path", "statements"),
        [
            ("/api/clients", 1),
            ("/api/clients?q=client", 2),
            ("/api/clients?limit=2", 2),
            ("/api/contacts", 1),
            ("/api/contacts?q=contact&is_active=true", 2),
            ("/api/clients/{client}", 1),
            ("/api/contacts/{contact}", 1),
            ("/api/clients/{client}/contacts", 2),
            ("/api/clients/{client}/tasks", 2),
        ],
    )
    def test_does_not_grow_with_rows(self, org: Organization, api_for: ApiFor, path: str, statements: int) -> None:
        client = ClientFactory(org=org)
        api = api_for(Role.VIEWER)
        seen = []
        for _ in range(2):
            for _ in range(3):
                contact = ContactFactory(org=org, client=client)
                ClientFactory(org=org)
                with system_scope("tests"):
                    OnboardingTask.all_orgs.create(org=org, client=client, title="Call")
            seen.append(queries_of(api, path.format(client=client.pk, contact=contact.pk)))
        assert seen == [statements, statements]
