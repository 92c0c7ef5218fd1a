"""Keys are shown once, rotated and revoked by buttons, and never seen again."""

from __future__ import annotations

import re

import pytest

from flowledger.tenancy.actors import Role
from flowledger.tenancy.models import ApiKey
from flowledger.tenancy.scope import org_scope

LIST = "/admin/tenancy/apikey/"
FORM = {"name": "loader", "role": "rep", "scopes": ["signals:write"], "expires_at_0": "", "expires_at_1": ""}


def keys(house):
    with org_scope(house.org):
        return list(ApiKey.objects.for_org(house.org).order_by("pk"))


def shown_in(response):
    found = re.search(r"fl_\d+_\d+_[\w-]+", response.content.decode())
    return found[0] if found else None


class TestIssue:
    def test_shows_the_text_once(self, home, admin_client):
        response = admin_client.post(f"{LIST}add/", FORM)
        text = shown_in(response)
        assert text is not None
        assert "no-store" in response["Cache-Control"]
        [key] = keys(home)
        assert key.matches(ApiKey.parse(text)[2])
        assert (key.role, key.scopes, key.created_by_id) == ("rep", ["signals:write"], home.people[Role.ADMIN].pk)
        for link in (LIST, f"{LIST}{key.pk}/change/", f"{LIST}{key.pk}/history/", "/admin/"):
            page = admin_client.get(link)
            assert shown_in(page) is None
            assert key.secret_sha256 not in page.content.decode()

    @pytest.mark.parametrize(
        "wrong",
        [
            {"scopes": []},
            {"scopes": ["everything:write"]},
            {"name": ""},
            {"expires_at_0": "2001-01-01", "expires_at_1": "00:00"},
        ],
    )
    def test_refuses_what_no_key_may_be(self, home, admin_client, wrong):
        response = admin_client.post(f"{LIST}add/", {**FORM, **wrong})
        assert response.status_code == 200
        assert response.context["errors"]
        assert keys(home) == []


class TestRotate:
    def test_shows_the_new_text_and_ends_the_old_one(self, home, admin_client):
        old = shown_in(admin_client.post(f"{LIST}add/", FORM))
        [key] = keys(home)
        new = shown_in(admin_client.post(f"{LIST}{key.pk}/transition/rotate/"))
        [key] = keys(home)
        assert key.matches(ApiKey.parse(new)[2])
        assert not key.matches(ApiKey.parse(old)[2])

    def test_of_a_revoked_key_is_refused_and_not_offered(self, home, admin_client):
        key = home.key()
        admin_client.post(f"{LIST}{key.pk}/transition/revoke/")
        before = keys(home)[0].secret_sha256
        page = admin_client.get(f"{LIST}{key.pk}/change/").content.decode()
        assert "transition/rotate" not in page
        assert "transition/revoke" not in page
        response = admin_client.post(f"{LIST}{key.pk}/transition/rotate/", follow=True)
        assert "cannot be rotated" in response.content.decode()
        assert keys(home)[0].secret_sha256 == before


class TestRevoke:
    def test_ends_the_key(self, home, admin_client):
        key = home.key()
        response = admin_client.post(f"{LIST}{key.pk}/transition/revoke/", follow=True)
        assert "opens nothing any more" in response.content.decode()
        assert keys(home)[0].revoked_at is not None

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.REP, Role.MANAGER])
    def test_is_for_administrators(self, home, as_role, role):
        key = home.key()
        assert as_role(role).post(f"{LIST}{key.pk}/transition/revoke/").status_code == 404
        assert keys(home)[0].revoked_at is None

    def test_a_key_cannot_be_changed_or_deleted_by_form(self, home, admin_client):
        key = home.key()
        assert admin_client.post(f"{LIST}{key.pk}/change/", {"name": "other"}).status_code == 403
        assert admin_client.post(f"{LIST}{key.pk}/delete/", {"post": "yes"}).status_code == 403
        assert keys(home)[0].name == "loader"
