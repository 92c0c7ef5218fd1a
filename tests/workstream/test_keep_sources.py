"""Intake sources: who keeps them, what is refused, and that no secret is ever told twice."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from flowledger.errors import Conflict, InvalidInput, NotFound, PermissionRefused
from flowledger.tenancy.models import Organization
from tests.queries import counted_queries
from tests.workstream.conftest import actor_of
from tests.workstream.factories import AT, CLERK
from tests.workstream.intake import SECRET, kept_source, make_source, web_form, webhook
from tests.workstream.test_query_counts import FEW, MANY, MOST_OF_A_DETAIL, MOST_OF_A_LIST
from tests.workstream.trail import nothing_changes
from workstream import services
from workstream.intake.options import plain_options, read_options
from workstream.models import IntakeSource
from workstream.models.intake import SourceKind
from workstream.services.sources import source_by_token

pytestmark = pytest.mark.django_db

MAILBOX = {"host": "imap.example.com", "username": "sales@example.com"}
KINDS = {"web_form": {}, "webhook": {}, "mail_hook": {}, "mailbox": MAILBOX}
URL = "/api/intake/sources"


def change(source: IntakeSource, secret: str | None = None, **fields: Any) -> IntakeSource:
    return services.update_source(org=source.org, source_id=source.pk, fields=fields, secret=secret, actor=CLERK, at=AT)


class TestCreate:
    @pytest.mark.parametrize(("kind", "options"), KINDS.items())
    def test_fills_in_what_is_usual_for_the_kind(self, org, kind, options):
        kept = kept_source(org, kind, options)
        types = {"web_form": "web_form", "webhook": "webhook", "mail_hook": "email", "mailbox": "email"}

        assert (kept.source.source_type, kept.source.is_active) == (types[kind], True)
        assert kept.source.options.items() >= options.items()
        assert kept.source.token.startswith(f"{org.pk}-")
        assert len(kept.source.token) >= 34
        assert bool(kept.secret) == (kind in {"webhook", "mail_hook"})
        assert kept.source.secret == kept.secret
        assert kept.secret not in kept.source.sealed_secret or not kept.secret

    @pytest.mark.parametrize(
        ("fields", "field", "sentence"),
        [
            ({"kind": "pigeon"}, "kind", "Choose a kind"),
            ({"name": " "}, "name", "needs a name"),
            ({"source_type": "pigeon"}, "source_type", "Choose a source type"),
            ({"kind": "mailbox"}, "options.host", "Field required"),
            ({"options": []}, "options", "JSON object"),
            ({"options": {"colour": "red"}}, "options.colour", "not permitted"),
            ({"options": {"allowed_origins": ["www.example.com"]}}, "options.allowed_origins.0", "is no origin"),
            ({"options": {"allowed_origins": ["https://a.example/b"]}}, "options.allowed_origins.0", "is no origin"),
            ({"options": {"redirect_url": "javascript:alert(1)"}}, "options.redirect_url", "https://"),
            ({"options": {"honeypot": "email"}}, "options", "'email' is taken"),
            ({"options": {"fields": [{"name": "utm_x", "label": "X"}]}}, "options.fields.0", "is taken"),
            (
                {"options": {"fields": [{"name": "a", "label": "A"}], "double_opt_in": True}},
                "options",
                "Double opt-in needs",
            ),
            (
                {"kind": "webhook", "options": {"mapping": {"fields": {"disposition": {"constant": "x"}}}}},
                "options.mapping.fields.disposition.[key]",
                "A signal has no field 'disposition'",
            ),
            (
                {"kind": "webhook", "options": {"mapping": {"items": "leads["}}},
                "options.mapping.items",
                "is no JSONPath",
            ),
            (
                {"kind": "webhook", "options": {"mapping": {"items": "$..*..*"}}},
                "options.mapping.items",
                "too many places",
            ),
            (
                {"kind": "webhook", "options": {"verification": {"scheme": "hmac", "signed": "{timestamp}.{body}"}}},
                "options.verification",
                "timestamp_header",
            ),
            (
                {
                    "kind": "webhook",
                    "options": {"mapping": {"fields": {"ts": {"paths": ["at"], "date_format": "soon"}}}},
                },
                "options.mapping.fields.ts.date_format",
                "is no date format",
            ),
        ],
    )
    def test_refuses_what_cannot_be(self, org, fields, field, sentence):
        with nothing_changes(), pytest.raises(InvalidInput, match=sentence) as refusal:
            given = {"kind": "web_form", "name": "Door", **fields}
            services.create_source(org=org, fields=given, actor=CLERK, at=AT)
        assert next(iter(refusal.value.details["fields"])) == field

    @pytest.mark.parametrize(
        ("kind", "options", "secret", "sentence"),
        [
            ("web_form", {}, "long enough", "no secret"),
            ("webhook", {}, "whsec_?", "less than 8|Base64"),
            ("webhook", {}, "no base64 at all!", "Base64"),
            ("webhook", {"verification": {"scheme": "github"}}, "short", "less than 8"),
            ("mailbox", MAILBOX, "x" * 501, "1 to 500"),
        ],
    )
    def test_refuses_a_secret_that_is_none(self, org, kind, options, secret, sentence):
        with nothing_changes(), pytest.raises(InvalidInput, match=sentence):
            kept_source(org, kind, options, secret=secret)

    def test_refuses_a_taken_name_here_and_not_elsewhere(self, org, other_org):
        make_source(org, "web_form")
        with nothing_changes(), pytest.raises(Conflict, match="named 'Door' already"):
            make_source(org, "webhook")
        assert make_source(other_org, "web_form").name == "Door"

    def test_is_for_managers(self, org, rep):
        with nothing_changes(), pytest.raises(PermissionRefused):
            services.create_source(org=org, fields={"kind": "web_form", "name": "X"}, actor=actor_of(rep), at=AT)


class TestUpdate:
    def test_replaces_the_options(self, org):
        source = web_form(org, title="Old", intro="Old")
        changed = change(source, options={"title": "New"}, name="Landing page")
        assert (changed.name, changed.options["title"], changed.options["intro"]) == ("Landing page", "New", "")

    def test_a_source_keeps_its_kind(self, org):
        source = web_form(org)
        with nothing_changes(), pytest.raises(InvalidInput, match="stays of its kind"):
            change(source, kind="webhook")
        assert change(source, kind="web_form").kind == "web_form"

    @pytest.mark.parametrize(
        "moved", [{"host": "imap.evil.example"}, {"username": "x"}, {"port": 1}, {"security": "none"}]
    )
    def test_a_password_is_not_given_away_to_another_mailbox(self, org, moved):
        source = make_source(org, "mailbox", MAILBOX, secret="password")
        with nothing_changes(), pytest.raises(InvalidInput, match="enter its password too"):
            change(source, options={**MAILBOX, **moved})
        assert change(source, options={**MAILBOX, "folder": "Leads"}).secret == "password"
        assert change(source, "another", options={**MAILBOX, **moved}).secret == "another"

    def test_a_scheme_that_the_secret_does_not_fit_is_refused(self, org):
        source = webhook(org)
        options = {"verification": {"scheme": "standard_webhooks"}}
        with nothing_changes(), pytest.raises(InvalidInput, match="does not fit"):
            change(source, options=options)
        assert change(source, "whsec_aGVsbG8gd29ybGQ=", options=options).secret == "whsec_aGVsbG8gd29ybGQ="

    def test_clears_the_trouble_that_was_noted(self, org):
        source = make_source(org, "mailbox", MAILBOX, secret="password")
        IntakeSource.all_orgs.filter(pk=source.pk).update(failed_at=AT, failure="Refused")
        changed = change(source, "another")
        assert (changed.failed_at, changed.failure) == (None, "")


class TestRotate:
    def test_the_old_secret_lives_on_for_a_while(self, org):
        source = webhook(org)
        kept = services.rotate_secret(org=org, source_id=source.pk, keep_hours=2, actor=CLERK, at=AT)
        stored = IntakeSource.all_orgs.get(pk=source.pk)

        assert stored.secrets(at=AT + timedelta(minutes=119)) == [kept.secret, SECRET]
        assert stored.secrets(at=AT + timedelta(hours=2)) == [kept.secret]

    def test_at_once_ends_it(self, org):
        source = webhook(org)
        kept = services.rotate_secret(org=org, source_id=source.pk, keep_hours=0, actor=CLERK, at=AT)
        assert IntakeSource.all_orgs.get(pk=source.pk).secrets(at=AT) == [kept.secret]

    @pytest.mark.parametrize("kind", ["mailbox", "web_form"])
    def test_what_is_not_made_here_has_to_be_entered(self, org, kind):
        source = make_source(org, kind, KINDS[kind])
        with nothing_changes(), pytest.raises(InvalidInput, match="Enter the secret"):
            services.rotate_secret(org=org, source_id=source.pk, actor=CLERK, at=AT)

    def test_a_strangers_source_does_not_exist(self, org, other_org):
        source = webhook(other_org)
        with nothing_changes(), pytest.raises(NotFound):
            services.rotate_secret(org=org, source_id=source.pk, actor=CLERK, at=AT)


class TestToken:
    def test_finds_the_source_with_its_organisation(self, org, other_org):
        source = web_form(org)
        web_form(other_org)
        found_org, found = source_by_token(source.token)
        assert (found_org, found.pk) == (org, source.pk)
        assert source_by_token(source.token, kind=SourceKind.WEB_FORM)[1].pk == source.pk

    def test_tells_nothing_of_others(self, org, other_org):
        source, off = web_form(org), make_source(org, "webhook", is_active=False)
        guesses = [
            source.token[:-1],
            source.token.replace(f"{org.pk}-", f"{other_org.pk}-", 1),
            off.token,
            "",
            "-",
            f"{org.pk}-",
            "9" * 30 + "-x",
        ]
        for guess in guesses:
            with pytest.raises(NotFound):
                source_by_token(guess)
        with pytest.raises(NotFound):
            source_by_token(source.token, kind=SourceKind.WEBHOOK)


class TestRest:
    def test_a_made_secret_is_in_one_answer_only(self, org, as_manager):
        created = as_manager.post(URL, {"kind": "webhook", "name": "Leads"})
        assert created.status_code == 201
        secret, pk = created.json()["secret"], created.json()["source_id"]
        assert secret.startswith("whsec_")
        source = IntakeSource.all_orgs.get(pk=pk)
        assert created.json()["address"] == f"http://testserver/api/in/webhooks/{source.token}"

        rotated = as_manager.post(f"{URL}/{pk}/rotate-secret", {"keep_hours": 1})
        assert rotated.json()["secret"] not in {"", secret}
        for answer in (
            as_manager.get(URL),
            as_manager.get(f"{URL}/{pk}"),
            as_manager.patch(f"{URL}/{pk}", {}, "application/json"),
        ):
            text = answer.content.decode() + json.dumps(dict(answer.headers))
            assert answer.status_code == 200
            assert secret not in text
            assert rotated.json()["secret"] not in text
            assert source.sealed_secret not in text
        assert as_manager.get(f"{URL}/{pk}").json()["has_secret"] is True

    def test_an_entered_secret_is_never_answered(self, org, as_manager):
        body = {"kind": "mailbox", "name": "Sales", "options": MAILBOX, "secret": "pass word "}
        created = as_manager.post(URL, body)
        assert (created.status_code, created.json()["secret"], created.json()["address"]) == (201, "", "")
        assert "pass word" not in created.content.decode()
        assert IntakeSource.all_orgs.get(org=org).secret == "pass word "

    def test_a_bad_mapping_is_refused_when_it_is_saved(self, org, as_manager):
        source = webhook(org)
        with nothing_changes():
            answer = as_manager.patch(
                f"{URL}/{source.pk}", {"options": {"mapping": {"items": "$["}}}, "application/json"
            )
        assert answer.status_code == 400
        assert list(answer.json()["fields"]) == ["options.mapping.items"]

    def test_deleting_keeps_what_came_through_it(self, org, as_manager):
        source = webhook(org)
        reject = services.keep_reject(
            org=org,
            channel="webhook",
            source=source,
            body=b"x",
            content_type="",
            sender="",
            code="x",
            reason="X",
            actor=CLERK,
            at=AT,
        )
        assert as_manager.delete(f"{URL}/{source.pk}").status_code == 204
        reject.refresh_from_db()
        assert reject.source_id is None
        assert not IntakeSource.all_orgs.filter(org=org).exists()

    def test_tries_a_sample_with_the_stored_or_other_options(self, org, as_manager):
        source = webhook(org, mapping={"items": "leads", "fields": {"contact_email": {"paths": ["mail"]}}})
        sample = {"leads": [{"mail": "a@quay.example"}, {"mail": {}}, {"mail": {"x": 1}}]}
        with nothing_changes():
            stored = as_manager.post(f"{URL}/{source.pk}/test", {"sample": sample}).json()["items"]
            other = {"mapping": {"fields": {"snippet": {"constant": "Fixed"}}}}
            tried = as_manager.post(f"{URL}/{source.pk}/test", {"sample": "{}", "options": other}).json()["items"]
            refused = as_manager.post(f"{URL}/{source.pk}/test", {"sample": "no json"})
        assert stored[0] == {"fields": {"source_type": "webhook", "contact_email": "a@quay.example"}, "errors": {}}
        assert [list(item["errors"]) for item in stored] == [[], ["mapping"], ["contact_email"]]
        assert tried == [{"fields": {"source_type": "webhook", "snippet": "Fixed"}, "errors": {}}]
        assert (refused.status_code, list(refused.json()["fields"])) == (400, ["sample"])

    def test_tries_a_form(self, org, as_manager):
        source = web_form(org)
        path = f"{URL}/{source.pk}/test"
        (good,) = as_manager.post(path, {"sample": {"name": "Ann", "email": "ann@quay.example"}}).json()["items"]
        (bad,) = as_manager.post(path, {"sample": {"name": "Ann", "website_address": "x"}}).json()["items"]
        assert (good["fields"]["contact_email"], good["errors"]) == ("ann@quay.example", {})
        assert list(bad["errors"]) == ["website_address"]

    def test_nobody_tries_a_mailbox(self, org, as_manager):
        source = make_source(org, "mailbox", MAILBOX)
        answer = as_manager.post(f"{URL}/{source.pk}/test", {"sample": {}})
        assert (answer.status_code, "send a message" in answer.json()["error"]) == (400, True)

    def test_a_list_costs_the_same_whatever_its_length(self, org, as_manager):
        def fill(count: int) -> None:
            start = IntakeSource.all_orgs.count()
            for number in range(start, start + count):
                make_source(org, "webhook", name=f"Hook {number}")

        fill(FEW)
        with counted_queries() as few:
            assert len(as_manager.get(f"{URL}?limit=100").json()["data"]) == FEW
        fill(MANY - FEW)
        with counted_queries() as many:
            assert len(as_manager.get(f"{URL}?limit=100").json()["data"]) == MANY
        assert len(many) == len(few) <= MOST_OF_A_LIST
        with counted_queries() as one:
            as_manager.get(f"{URL}/{IntakeSource.all_orgs.order_by('pk')[0].pk}")
        assert 0 < len(one) <= MOST_OF_A_DETAIL


def test_a_door_of_another_organisation_is_its_own(org: Organization, other_org: Organization) -> None:
    ours, theirs = web_form(org), web_form(other_org)
    assert source_by_token(ours.token)[0] != source_by_token(theirs.token)[0]


def test_the_options_in_the_recipe_are_valid() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "recipes" / "intake-sources.md").read_text()
    examples = re.findall(r"```json (\w+)\n(.*?)```", text, re.DOTALL)

    assert [kind for kind, _ in examples] == ["web_form", "webhook"]
    for kind, example in examples:
        document = json.loads(example)
        assert (
            plain_options(read_options(kind, document)).items()
            >= {name: value for name, value in document.items() if not isinstance(value, dict | list)}.items()
        )
