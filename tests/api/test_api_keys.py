"""API keys: issuing, rotating, revoking, and what a key opens."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils.timezone import now

from flowledger.api.models import IdempotencyRecord
from flowledger.tenancy.actors import Role
from flowledger.tenancy.models import ApiKey
from tests.client import ApiClient

pytestmark = pytest.mark.django_db
BODY = {"name": "loader", "role": "rep", "scopes": ["outbox:read"]}


class TestIssue:
    def test_shows_the_key_once_and_stores_a_hash(self, client_for, org):
        client = client_for(Role.ADMIN)
        answer = client.post("/api/api-keys", BODY)
        assert answer.status_code == 201
        body = answer.json()
        assert body["key"].startswith(f"fl_{org.pk}_{body['api_key_id']}_")
        assert (body["name"], body["role"], body["scopes"], body["revoked_at"]) == (
            "loader",
            "rep",
            ["outbox:read"],
            None,
        )
        shown_later = client.get(f"/api/api-keys/{body['api_key_id']}").json()
        assert shown_later == {name: value for name, value in body.items() if name != "key"}
        assert body["key"].split("_", 3)[3] not in ApiKey.all_orgs.get().secret_sha256

    def test_opens_what_its_scopes_say(self, client_for):
        text = client_for(Role.ADMIN).post("/api/api-keys", {**BODY, "role": "manager"}).json()["key"]
        key = ApiClient(f"Api-Key {text}")
        assert key.get("/api/me").status_code == 200
        assert key.get("/api/outbox/dead-letters").status_code == 200
        answer = key.post("/api/outbox/dead-letters/1/retry")
        assert answer.status_code == 403
        assert "outbox:write" in answer.json()["error"]

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.REP, Role.MANAGER])
    def test_is_for_administrators(self, client_for, role):
        assert client_for(role).post("/api/api-keys", BODY).status_code == 403
        assert ApiKey.all_orgs.count() == 0

    def test_is_not_for_keys(self, client_for):
        client = client_for(["outbox:write"])
        assert client.post("/api/api-keys", BODY).status_code == 403
        assert client.get("/api/api-keys").status_code == 403
        assert ApiKey.all_orgs.count() == 1

    @pytest.mark.parametrize(
        "wrong",
        [
            {"scopes": []},
            {"scopes": ["all"]},
            {"role": "king"},
            {"name": ""},
            {"expires_at": "2001-01-01T00:00:00Z"},
            {"expires_at": "9999-12-31T23:59:59-23:59"},
            {"name": "a\x00b"},
            {"scopes": "outbox:read"},
        ],
    )
    def test_bad_input_is_400_and_issues_nothing(self, client_for, wrong):
        answer = client_for(Role.ADMIN).post("/api/api-keys", {**BODY, **wrong})
        assert answer.status_code == 400
        assert any(name.startswith((*wrong, "body")) for name in answer.json()["fields"])
        assert ApiKey.all_orgs.count() == 0

    def test_no_idempotency_record_keeps_the_secret(self, client_for):
        client_for(Role.ADMIN).post("/api/api-keys", BODY, headers={"Idempotency-Key": "k1"})
        assert IdempotencyRecord.all_orgs.count() == 0


class TestRotateAndRevoke:
    def test_rotation_replaces_the_secret(self, client_for, org, key_for):
        key, text = key_for(org, "outbox:read")
        answer = client_for(Role.ADMIN).post(f"/api/api-keys/{key.pk}/rotate")
        assert answer.status_code == 200
        assert ApiClient(f"Api-Key {text}").get("/api/me").status_code == 401
        assert ApiClient(f"Api-Key {answer.json()['key']}").get("/api/me").status_code == 200

    def test_revoking_is_final_and_repeatable(self, client_for, org, key_for):
        key, text = key_for(org)
        client = client_for(Role.ADMIN)
        first = client.delete(f"/api/api-keys/{key.pk}")
        assert first.status_code == 200
        assert first.json()["revoked_at"] is not None
        assert client.delete(f"/api/api-keys/{key.pk}").json() == first.json()
        assert ApiClient(f"Api-Key {text}").get("/api/me").status_code == 401
        assert client.post(f"/api/api-keys/{key.pk}/rotate").status_code == 400

    def test_a_strangers_key_does_not_exist(self, client_for, other_org, key_for):
        key, text = key_for(other_org)
        client = client_for(Role.ADMIN)
        assert client.get(f"/api/api-keys/{key.pk}").status_code == 404
        assert client.delete(f"/api/api-keys/{key.pk}").status_code == 404
        assert client.post(f"/api/api-keys/{key.pk}/rotate").status_code == 404
        assert client.get("/api/api-keys").json()["data"] == []
        assert ApiClient(f"Api-Key {text}").get("/api/me").status_code == 200


class TestUse:
    def test_expired_and_altered_keys_are_refused(self, org, key_for):
        key, text = key_for(org)
        assert ApiClient(f"Api-Key {text}x").get("/api/me").status_code == 401
        prefix, _, rest = text.split("_", 2)
        assert ApiClient(f"Api-Key {prefix}_{org.pk + 1}_{rest}").get("/api/me").status_code == 401
        ApiKey.all_orgs.filter(pk=key.pk).update(expires_at=now() - timedelta(seconds=1))
        assert ApiClient(f"Api-Key {text}").get("/api/me").status_code == 401

    def test_last_use_is_noted_once_a_minute(self, org, key_for):
        key, text = key_for(org)
        client = ApiClient(f"Api-Key {text}")
        client.get("/api/me")
        key.refresh_from_db()
        first = key.last_used_at
        assert first is not None
        client.get("/api/me")
        key.refresh_from_db()
        assert key.last_used_at == first
        ApiKey.all_orgs.filter(pk=key.pk).update(last_used_at=first - timedelta(minutes=2))
        client.get("/api/me")
        key.refresh_from_db()
        assert key.last_used_at > first

    def test_the_role_of_the_key_counts(self, org, key_for):
        _, text = key_for(org, "outbox:write", role=Role.VIEWER)
        answer = ApiClient(f"Api-Key {text}").get("/api/outbox/dead-letters")
        assert answer.status_code == 403


class TestVersions:
    @pytest.fixture
    def key(self, org: Any, key_for: Any) -> ApiKey:
        issued: ApiKey = key_for(org)[0]
        return issued

    def test_etag_names_the_version_and_its_time(self, client_for, key):
        micros = (key.updated_at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        etag = client_for(Role.ADMIN).get(f"/api/api-keys/{key.pk}")["ETag"]
        assert etag == f'"api_key-{key.pk}-{key.row_version}-{micros:x}"'

    @pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', "*"])
    def test_what_the_caller_has_is_304(self, client_for, key, form):
        client = client_for(Role.ADMIN)
        etag = client.get(f"/api/api-keys/{key.pk}")["ETag"]
        answer = client.get(f"/api/api-keys/{key.pk}", headers={"If-None-Match": form.format(etag)})
        assert (answer.status_code, answer.content, answer["ETag"]) == (304, b"", etag)

    def test_what_changed_is_200(self, client_for, key):
        client = client_for(Role.ADMIN)
        etag = client.get(f"/api/api-keys/{key.pk}")["ETag"]
        client.post(f"/api/api-keys/{key.pk}/rotate")
        answer = client.get(f"/api/api-keys/{key.pk}", headers={"If-None-Match": etag})
        assert answer.status_code == 200
        assert answer["ETag"] != etag

    def test_a_stale_decision_is_412_and_changes_nothing(self, client_for, key):
        client = client_for(Role.ADMIN)
        etag = client.get(f"/api/api-keys/{key.pk}")["ETag"]
        newest = client.post(f"/api/api-keys/{key.pk}/rotate")["ETag"]
        answer = client.delete(f"/api/api-keys/{key.pk}", headers={"If-Match": etag})
        assert (answer.status_code, answer.json()["code"]) == (412, "stale")
        assert answer.json()["current_etag"] == newest
        assert ApiKey.all_orgs.get(pk=key.pk).revoked_at is None
        weak = client.delete(f"/api/api-keys/{key.pk}", headers={"If-Match": f"W/{newest}"})
        assert weak.status_code == 412
        assert client.delete(f"/api/api-keys/{key.pk}", headers={"If-Match": newest}).status_code == 200

    def test_if_match_on_nothing_is_404(self, client_for):
        assert client_for(Role.ADMIN).delete("/api/api-keys/5", headers={"If-Match": "*"}).status_code == 404
