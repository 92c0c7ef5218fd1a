"""API keys below their interfaces: what is stored of the secret, what rotation and revocation end, who may."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from flowledger.errors import InvalidInput, NotFound, PermissionRefused
from flowledger.tenancy.actors import Actor, ActorKind, Origin, Role
from flowledger.tenancy.models import ApiKey, Organization
from flowledger.tenancy.scope import org_scope, system_scope
from flowledger.tenancy.services import issue_api_key, revoke_api_key, rotate_api_key, touch_api_key
from tests.tenancy.conftest import AT

pytestmark = pytest.mark.django_db

ADMIN = Actor.system("tests")
HOUR = timedelta(hours=1)


def issue(org: Organization, **given: Any) -> tuple[ApiKey, str]:
    wanted: dict[str, Any] = {"name": "loader", "role": Role.REP, "scopes": ["signals:write"], "expires_at": None}
    return issue_api_key(org=org, **{**wanted, **given}, **({} if "actor" in given else {"actor": ADMIN}), at=AT)


def stored(key: ApiKey) -> ApiKey:
    with system_scope("tests"):
        return ApiKey.all_orgs.get(pk=key.pk)


def secret_of(text: str) -> str:
    parsed = ApiKey.parse(text)
    assert parsed is not None
    return parsed[2]


class TestIssue:
    def test_hands_out_what_the_database_does_not_hold(self, org: Organization):
        key, text = issue(org)

        assert ApiKey.parse(text) == (org.pk, key.pk, secret_of(text))
        assert len(secret_of(text)) >= 43
        with org_scope(org):
            values = ApiKey.objects.for_org(org).filter(pk=key.pk).values().get()
        assert secret_of(text) not in str(values)
        assert stored(key).matches(secret_of(text))
        assert not stored(key).matches(secret_of(text)[:-1])

    def test_acts_with_its_own_role_and_name(self, org: Organization):
        actor = Actor.for_api_key(issue(org)[0])

        assert (actor.kind, actor.role, actor.origin, actor.user_id) == (ActorKind.API_KEY, Role.REP, Origin.API, None)

    def test_writing_implies_reading(self, org: Organization):
        key, _ = issue(org)

        assert [key.allows(scope) for scope in ("signals:write", "signals:read", "clients:read")] == [True, True, False]

    @pytest.mark.parametrize("scopes", [[], ["signals:delete"], ["everything"]])
    def test_unknown_or_no_scopes_are_refused(self, org: Organization, scopes: list[str]):
        with pytest.raises(InvalidInput) as refused:
            issue(org, scopes=scopes)

        assert "scopes" in refused.value.details["fields"]
        with system_scope("tests"):
            assert ApiKey.all_orgs.count() == 0

    @pytest.mark.parametrize("expires_at", [AT, AT - HOUR])
    def test_an_expiry_in_the_past_is_refused(self, org: Organization, expires_at: Any):
        with pytest.raises(InvalidInput):
            issue(org, expires_at=expires_at)

        with system_scope("tests"):
            assert ApiKey.all_orgs.count() == 0

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.REP, Role.MANAGER])
    def test_is_an_administrators(self, org: Organization, role: Role):
        with pytest.raises(PermissionRefused):
            issue(org, actor=replace(ADMIN, role=role))

        with system_scope("tests"):
            assert ApiKey.all_orgs.count() == 0


class TestRotate:
    def test_ends_the_old_secret_at_once(self, org: Organization):
        key, old = issue(org)
        _, new = rotate_api_key(org=org, key_id=key.pk, actor=ADMIN, at=AT)

        assert stored(key).matches(secret_of(new))
        assert not stored(key).matches(secret_of(old))
        assert ApiKey.parse(new)[:2] == ApiKey.parse(old)[:2]

    @pytest.mark.parametrize("end", ["revoked", "expired"])
    def test_a_key_at_its_end_is_refused(self, org: Organization, end: str):
        key, text = issue(org, expires_at=AT + HOUR)
        if end == "revoked":
            revoke_api_key(org=org, key_id=key.pk, actor=ADMIN, at=AT)
        with pytest.raises(InvalidInput):
            rotate_api_key(org=org, key_id=key.pk, actor=ADMIN, at=AT if end == "revoked" else AT + HOUR)

        assert stored(key).matches(secret_of(text))

    def test_a_strangers_key_does_not_exist(self, org: Organization, other_org: Organization):
        key, text = issue(other_org)
        with pytest.raises(NotFound):
            rotate_api_key(org=org, key_id=key.pk, actor=ADMIN, at=AT)

        assert stored(key).matches(secret_of(text))


class TestRevoke:
    def test_ends_it_for_good(self, org: Organization):
        key, _ = issue(org)
        revoke_api_key(org=org, key_id=key.pk, actor=ADMIN, at=AT)

        assert stored(key).revoked_at == AT
        assert not stored(key).is_live(AT)

    def test_again_keeps_the_first_time(self, org: Organization):
        key, _ = issue(org)
        revoke_api_key(org=org, key_id=key.pk, actor=ADMIN, at=AT)
        revoke_api_key(org=org, key_id=key.pk, actor=ADMIN, at=AT + HOUR)

        assert stored(key).revoked_at == AT

    def test_is_an_administrators(self, org: Organization):
        key, _ = issue(org)
        with pytest.raises(PermissionRefused):
            revoke_api_key(org=org, key_id=key.pk, actor=replace(ADMIN, role=Role.MANAGER), at=AT)

        assert stored(key).is_live(AT)

    def test_a_strangers_key_does_not_exist(self, org: Organization, other_org: Organization):
        key, _ = issue(other_org)
        with pytest.raises(NotFound):
            revoke_api_key(org=org, key_id=key.pk, actor=ADMIN, at=AT)

        assert stored(key).is_live(AT)


class TestTouch:
    def test_notes_the_use_and_leaves_the_version(self, org: Organization):
        key, _ = issue(org)
        with org_scope(org):
            touch_api_key(org=org, key_id=key.pk, at=AT, stale_before=AT - HOUR)
            touch_api_key(org=org, key_id=key.pk, at=AT + HOUR / 2, stale_before=AT - HOUR / 2)

        assert (stored(key).last_used_at, stored(key).row_version) == (AT, 1)


@pytest.mark.parametrize(
    "text",
    ["", "fl", "fl_1_2", "fl_1_2_", "fl_x_2_secret", "fl_1__secret", "xx_1_2_secret", "fl_١_2_s", f"fl_{'9' * 19}_1_s"],
)
def test_what_is_no_key_is_not_read_as_one(text: str):
    assert ApiKey.parse(text) is None
