"""POST /api/auth/token, /refresh, /logout, and GET /api/me."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import jwt
import pytest
from django.utils.timezone import now

from flowledger.api.models import TokenFamily
from flowledger.api.tasks import purge_token_families
from flowledger.tenancy.actors import Role
from flowledger.tenancy.models import Membership
from tests.api.conftest import PASSWORD
from tests.client import ApiClient, bearer

pytestmark = pytest.mark.django_db


def sign_in(username: str, password: str = PASSWORD, **more: Any) -> Any:
    return ApiClient().post("/api/auth/token", {"username": username, "password": password, **more})


class TestSignIn:
    def test_answers_tokens_organisation_and_role(self, org, member_of):
        member = member_of(org, Role.MANAGER, username="ann")
        answer = sign_in("ann")
        assert answer.status_code == 200
        body = answer.json()
        assert (body["org_id"], body["role"]) == (org.pk, "manager")
        claims = jwt.decode(body["access"], options={"verify_signature": False})
        assert (claims["org_id"], claims["role"], claims["user_id"]) == (org.pk, "manager", str(member.user_id))
        assert claims["exp"] - claims["iat"] == 15 * 60
        assert answer["Cache-Control"] == "no-store"
        assert ApiClient(f"Bearer {body['access']}").get("/api/me").json()["username"] == "ann"

    @pytest.mark.parametrize(("username", "password"), [("ann", "wrong"), ("nobody", PASSWORD), ("gone", PASSWORD)])
    def test_refuses_with_one_sentence_for_every_reason(self, org, member_of, username, password):
        member_of(org, username="ann")
        member_of(org, username="gone", is_active=False)
        answer = sign_in(username, password)
        assert answer.status_code == 401
        assert answer.json() == {
            "error": "The user name or the password is not right.",
            "code": "authentication_failed",
        }
        assert TokenFamily.all_orgs.count() == 0

    def test_several_organisations_ask_which(self, org, other_org, member_of):
        user = member_of(org, username="ann").user
        member_of(other_org, Role.VIEWER, user=user)
        answer = sign_in("ann")
        assert answer.status_code == 400
        assert answer.json()["code"] == "validation_error"
        assert str(org.pk) in answer.json()["fields"]["org_id"][0]
        assert "Lighthouse" in answer.json()["fields"]["org_id"][0]
        assert sign_in("ann", org_id=other_org.pk).json()["role"] == "viewer"

    def test_strangers_organisation_is_forbidden(self, org, other_org, member_of):
        member_of(org, username="ann")
        assert sign_in("ann", org_id=other_org.pk).status_code == 403
        assert TokenFamily.all_orgs.count() == 0

    def test_without_any_membership_is_forbidden(self, org, member_of):
        member = member_of(org, username="ann")
        Membership.all_orgs.filter(pk=member.pk).update(is_active=False)
        assert sign_in("ann").status_code == 403

    @pytest.mark.parametrize(
        "body",
        [{}, {"username": "ann"}, {"username": ["ann"], "password": {}}, {"username": "a\x00", "password": "x"}, []],
    )
    def test_malformed_bodies_are_400(self, body):
        answer = ApiClient().post("/api/auth/token", body)
        assert answer.status_code == 400
        assert answer.json()["code"] == "validation_error"


class TestRefresh:
    def refresh(self, token: str) -> Any:
        return ApiClient().post("/api/auth/refresh", {"refresh": token})

    def test_rotates_and_reads_the_role_again(self, org, member_of):
        member = member_of(org, Role.REP, username="ann")
        first = sign_in("ann").json()
        Membership.all_orgs.filter(pk=member.pk).update(role=Role.ADMIN)
        second = self.refresh(first["refresh"])
        assert second.status_code == 200
        assert second.json()["role"] == "admin"
        assert second.json()["refresh"] != first["refresh"]
        assert self.refresh(second.json()["refresh"]).status_code == 200

    def test_reuse_ends_the_whole_family(self, org, member_of):
        member_of(org, username="ann")
        stolen = sign_in("ann").json()["refresh"]
        other_session = sign_in("ann").json()["refresh"]
        newest = self.refresh(stolen).json()["refresh"]
        assert self.refresh(stolen).status_code == 401
        assert self.refresh(newest).status_code == 401
        family = TokenFamily.all_orgs.get(revoked_at__isnull=False)
        assert family.revoked_reason == "reuse"
        assert self.refresh(other_session).status_code == 200

    def test_is_refused_when_the_membership_ended(self, org, member_of):
        member = member_of(org, username="ann")
        token = sign_in("ann").json()["refresh"]
        Membership.all_orgs.filter(pk=member.pk).update(is_active=False)
        assert self.refresh(token).status_code == 401
        Membership.all_orgs.filter(pk=member.pk).update(is_active=True)
        assert self.refresh(token).status_code == 401

    def test_is_refused_after_a_new_password(self, org, member_of):
        user = member_of(org, username="ann").user
        token = sign_in("ann").json()["refresh"]
        user.set_password("another long password")
        user.save()
        assert self.refresh(token).status_code == 401

    def test_is_refused_past_its_time(self, org, member_of):
        member_of(org, username="ann")
        token = sign_in("ann").json()["refresh"]
        TokenFamily.all_orgs.update(expires_at=now() - timedelta(seconds=1))
        assert self.refresh(token).status_code == 401

    @pytest.mark.parametrize("token", ["", "x", "a.b.c"])
    def test_nonsense_is_refused(self, token):
        assert self.refresh(token).status_code in {400, 401}

    def test_an_access_token_is_no_refresh_token(self, org, member_of):
        member_of(org, username="ann")
        assert self.refresh(sign_in("ann").json()["access"]).status_code == 401

    def test_a_forged_organisation_is_refused(self, org, other_org, member_of):
        member_of(org, username="ann")
        token = sign_in("ann").json()["refresh"]
        claims = jwt.decode(token, options={"verify_signature": False})
        forged = jwt.encode({**claims, "org_id": other_org.pk}, "guess" * 10, algorithm="HS256")
        assert self.refresh(forged).status_code == 401
        unsigned = jwt.encode({**claims, "org_id": other_org.pk}, None, algorithm="none")
        assert self.refresh(unsigned).status_code == 401


class TestLogout:
    def test_ends_the_session_and_can_be_repeated(self, org, member_of):
        member_of(org, username="ann")
        token = sign_in("ann").json()["refresh"]
        for _ in range(2):
            answer = ApiClient().post("/api/auth/logout", {"refresh": token})
            assert (answer.status_code, answer.json()) == (200, {"signed_out": True})
        assert ApiClient().post("/api/auth/refresh", {"refresh": token}).status_code == 401
        assert TokenFamily.all_orgs.get().revoked_reason == "signed out"

    def test_nonsense_is_refused(self):
        assert ApiClient().post("/api/auth/logout", {"refresh": "x"}).status_code == 401


class TestCredentialOnEveryRequest:
    def test_the_current_role_counts_not_the_tokens(self, org, member_of):
        member = member_of(org, Role.ADMIN)
        client = ApiClient(bearer(member))
        assert client.get("/api/api-keys").status_code == 200
        Membership.all_orgs.filter(pk=member.pk).update(role=Role.REP)
        assert client.get("/api/me").json()["role"] == "rep"
        assert client.get("/api/api-keys").status_code == 403

    @pytest.mark.parametrize("column", ["membership", "user"])
    def test_revocation_is_immediate(self, org, member_of, column):
        member = member_of(org, Role.ADMIN)
        client = ApiClient(bearer(member))
        assert client.get("/api/me").status_code == 200
        if column == "membership":
            Membership.all_orgs.filter(pk=member.pk).update(is_active=False)
        else:
            member.user.is_active = False
            member.user.save()
        answer = client.get("/api/me")
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"].startswith("Bearer")

    def test_a_new_password_ends_access_tokens(self, org, member_of):
        member = member_of(org)
        client = ApiClient(bearer(member))
        member.user.set_password("another long password")
        member.user.save()
        assert client.get("/api/me").status_code == 401

    @pytest.mark.parametrize(
        "header", ["Bearer", "Bearer x", "Bearer a b", "Basic YTpi", "Api-Key x", "Api-Key fl_1_2_x", ""]
    )
    def test_anything_else_is_401(self, db, header):
        answer = ApiClient(header).get("/api/me")
        assert answer.status_code == 401
        assert answer.json()["code"] in {"authentication_failed", "not_authenticated"}


class TestMe:
    def test_names_user_organisation_role_and_memberships(self, org, other_org, member_of):
        member = member_of(org, Role.MANAGER, username="ann")
        member_of(other_org, Role.VIEWER, user=member.user)
        assert ApiClient(bearer(member)).get("/api/me").json() == {
            "user_id": member.user_id,
            "username": "ann",
            "org_id": org.pk,
            "role": "manager",
            "memberships": [
                {"org_id": org.pk, "org_name": "Harbour", "role": "manager"},
                {"org_id": other_org.pk, "org_name": "Lighthouse", "role": "viewer"},
            ],
        }

    def test_a_key_has_no_user(self, org, client_for):
        assert client_for(["signals:read"]).get("/api/me").json() == {
            "user_id": None,
            "username": None,
            "org_id": org.pk,
            "role": "admin",
            "memberships": [],
        }


class TestPurge:
    def test_deletes_sign_ins_past_their_time(self, org, member_of):
        member_of(org, username="ann")
        for _ in range(2):
            sign_in("ann")
        oldest = TokenFamily.all_orgs.order_by("pk")[0]
        TokenFamily.all_orgs.filter(pk=oldest.pk).update(expires_at=now() - timedelta(days=2))
        assert purge_token_families() == 1
        assert not TokenFamily.all_orgs.filter(pk=oldest.pk).exists()
        assert TokenFamily.all_orgs.count() == 1
