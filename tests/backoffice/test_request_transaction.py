"""One request is one transaction in one scope: what stays after success, refusal and accident."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.template import engines
from django.template.response import SimpleTemplateResponse
from django.urls import path

from flowledger.backoffice.requests import org_of
from flowledger.errors import Conflict, ScopeError
from flowledger.tenancy.actors import Role
from flowledger.tenancy.models import ApiKey, Organization
from flowledger.tenancy.scope import current_org_id, org_scope
from flowledger.tenancy.usecases import use_case


def leave_a_row(org: Organization, name: str) -> None:
    ApiKey.objects.for_org(org).bulk_create([ApiKey(org=org, name=name, scopes=[], secret_sha256="0" * 64)])


class Refused(Conflict):
    def keep(self) -> None:
        leave_a_row(self.details["org"], "evidence")


@use_case
def refuse(*, org: Organization) -> None:
    leave_a_row(org, "work of the refused service")
    raise Refused("This is not possible.", org=org)


def writing(request):
    leave_a_row(org_of(request), "written")
    return HttpResponse(str(current_org_id()))


def refusing(request):
    refuse(org=org_of(request))


def failing(request):
    leave_a_row(org_of(request), "written")
    raise {"value": ValueError, "missing": Http404, "denied": PermissionDenied}[request.GET["how"]]("no")


def rendering_late(request):
    """A template that counts rows when it is rendered, after the view has returned."""
    rows = ApiKey.objects.for_org(org_of(request))
    return SimpleTemplateResponse(engines["django"].from_string("{{ rows.count }}"), {"rows": rows})


def streaming(request):
    return StreamingHttpResponse(iter(["a"]))


urlpatterns = [
    path("admin/try/writing/", writing),
    path("admin/try/refusing/", refusing),
    path("admin/try/failing/", failing),
    path("admin/try/rendering/", rendering_late),
    path("admin/try/streaming/", streaming),
    path("admin/", admin.site.urls),
]

pytestmark = pytest.mark.urls("tests.backoffice.test_request_transaction")


@pytest.fixture
def client(as_role):
    client = as_role(Role.ADMIN)
    client.raise_request_exception = False
    return client


def names(house):
    with org_scope(house.org):
        return sorted(ApiKey.objects.for_org(house.org).values_list("name", flat=True))


def test_success_commits_what_the_view_wrote_in_the_scope(home, client):
    response = client.get("/admin/try/writing/")
    assert response.content.decode() == str(home.org.pk)
    assert names(home) == ["written"]


def test_a_refusal_becomes_a_page_and_keeps_its_evidence_only(home, client):
    response = client.get("/admin/try/refusing/")
    assert response.status_code == 409
    assert "This is not possible." in response.content.decode()
    assert names(home) == ["evidence"]


@pytest.mark.parametrize(("how", "status"), [("value", 500), ("missing", 404), ("denied", 403)])
def test_an_accident_undoes_everything(home, client, how, status):
    assert client.get("/admin/try/failing/", {"how": how}).status_code == status
    assert names(home) == []


def test_the_scope_is_still_open_when_the_page_is_rendered(home, client):
    home.key()
    assert client.get("/admin/try/rendering/").content == b"1"


def test_streamed_answers_are_refused(home, client):
    client.raise_request_exception = True
    with pytest.raises(ScopeError, match="streams"):
        client.get("/admin/try/streaming/")


def test_nothing_of_the_scope_is_left_after_the_request(home, client):
    client.get("/admin/try/writing/")
    assert current_org_id() is None
