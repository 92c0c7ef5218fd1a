"""Intake sources in the back office: the page of a kind, secrets that show once, the snippet, and trying a sample."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flowledger.tenancy.actors import Role
from flowledger.tenancy.scope import org_scope
from tests.workstream.back_office import address, buttons_on, form_values, press, said, save
from tests.workstream.factories import AT, CLERK
from tests.workstream.intake import SECRET, make_source
from workstream import services
from workstream.models import IntakeSource

MAILBOX = {"host": "imap.example.com", "username": "sales@example.com"}
FORM = "intakesource_form"


def source_in(home: Any, kind: str, options: Any = None, **more: Any) -> IntakeSource:
    with org_scope(home.org):
        source: IntakeSource = make_source(home.org, kind, options, **more)
    return source


def only_source(home: Any) -> IntakeSource:
    with org_scope(home.org):
        source: IntakeSource = IntakeSource.objects.for_org(home.org).get()
    return source


def secret_of(source: IntakeSource) -> str:
    with org_scope(source.org_id):
        return IntakeSource.objects.for_org(source.org_id).get(pk=source.pk).secret


@pytest.mark.parametrize("role", [Role.VIEWER, Role.REP])
def test_the_pages_are_for_managers(home, as_role, role):
    source = source_in(home, "web_form")
    assert as_role(role).get(address(IntakeSource, "changelist")).status_code == 403
    assert as_role(role).get(address(IntakeSource, "add")).status_code == 403
    assert as_role(role).get(address(IntakeSource, "change", source.pk), follow=True).status_code == 403
    assert as_role(role).post(address(IntakeSource, "try", source.pk), {"sample": "{}"}).status_code == 404


def test_a_strangers_source_has_no_page(home, abroad, as_role):
    theirs = source_in(abroad, "webhook")
    manager = as_role(Role.MANAGER)
    assert theirs.name not in manager.get(address(IntakeSource, "changelist")).content.decode()
    assert manager.post(address(IntakeSource, "try", theirs.pk), {"sample": "{}"}).status_code == 404
    assert press(manager, theirs, "rotate-secret", keep_hours=0).status_code == 404
    assert secret_of(theirs) == theirs.secret


class TestAdd:
    def test_shows_the_secret_that_was_made_once(self, home, as_role):
        manager = as_role(Role.MANAGER)
        page = save(manager, address(IntakeSource, "add"), FORM, kind="webhook", name="Leads")
        source = only_source(home)

        assert page.status_code == 200
        assert page.context["text"] == source.secret != ""
        assert "no-store" in page.headers["Cache-Control"]
        for again in (address(IntakeSource, "change", source.pk), address(IntakeSource, "changelist")):
            assert source.secret not in manager.get(again).content.decode()

    def test_a_form_goes_on_to_its_options(self, home, as_role):
        page = save(as_role(Role.MANAGER), address(IntakeSource, "add"), FORM, kind="web_form", name="Contact page")
        assert page.redirect_chain[-1][0] == address(IntakeSource, "change", only_source(home).pk)

    def test_a_mailbox_says_where_it_is(self, home, as_role):
        manager = as_role(Role.MANAGER)
        refused = save(
            manager, address(IntakeSource, "add"), FORM, kind="mailbox", name="Sales", host="imap.example.com"
        )
        assert "Field required" in refused.content.decode()
        save(manager, address(IntakeSource, "add"), FORM, kind="mailbox", name="Sales", secret="pass word ", **MAILBOX)
        assert only_source(home).options.items() >= MAILBOX.items()
        assert only_source(home).secret == "pass word "


class TestChange:
    def test_every_option_has_a_field_and_nothing_changes_by_saving(self, home, as_role):
        for kind, options in (("web_form", {}), ("webhook", {}), ("mail_hook", {}), ("mailbox", MAILBOX)):
            source = source_in(home, kind, options, name=kind)
            page = as_role(Role.MANAGER).get(address(IntakeSource, "change", source.pk))
            names = {name for name in form_values(page, FORM) if name.startswith("options.")}
            assert {name.split(".")[1] for name in names} >= {
                name for name, value in source.options.items() if not isinstance(value, bool)
            }
            answer = save(as_role(Role.MANAGER), address(IntakeSource, "change", source.pk), FORM)
            assert "was changed successfully" in said(answer), kind
            with org_scope(home.org):
                assert IntakeSource.objects.for_org(home.org).get(pk=source.pk).options == source.options
            assert secret_of(source) == source.secret

    def test_changes_what_was_typed(self, home, as_role):
        source = source_in(home, "web_form")
        fields = json.dumps([{"name": "mail", "label": "Mail", "kind": "email", "target": "contact_email"}])
        changes = {
            "name": "Landing page",
            "options.title": "Talk to us",
            "options.allowed_origins": "https://www.example.com\nhttps://example.com\n",
            "options.fields": fields,
        }
        save(as_role(Role.MANAGER), address(IntakeSource, "change", source.pk), FORM, **changes)
        stored = only_source(home)
        assert (stored.name, stored.options["title"]) == ("Landing page", "Talk to us")
        assert stored.options["allowed_origins"] == ["https://www.example.com", "https://example.com"]
        assert stored.options["fields"] == json.loads(fields)

    def test_says_beside_the_field_what_is_wrong(self, home, as_role):
        source = source_in(home, "webhook", {"verification": {"scheme": "github"}}, secret=SECRET)
        changes = {"options.mapping.items": "leads[", "options.verification.signed": "nothing"}
        page = save(as_role(Role.MANAGER), address(IntakeSource, "change", source.pk), FORM, **changes)
        assert "is no JSONPath" in page.content.decode()
        assert only_source(home).options == source.options

    def test_shows_address_page_and_snippet(self, home, as_role):
        source = source_in(home, "web_form")
        page = as_role(Role.MANAGER).get(address(IntakeSource, "change", source.pk))
        assert page.context["door"] == f"http://testserver/api/in/forms/{source.token}"
        assert page.context["page"] == f"http://testserver/forms/{source.token}"
        assert f'action="{page.context["page"]}"' in page.context["snippet"]
        assert "rotate-secret" not in buttons_on(page)

    def test_deleting_needs_a_second_look(self, home, as_role):
        source = source_in(home, "web_form")
        as_role(Role.MANAGER).post(address(IntakeSource, "delete", source.pk), {"post": "yes"})
        with org_scope(home.org):
            assert not IntakeSource.objects.for_org(home.org).exists()


class TestSecret:
    def test_a_new_one_shows_once_and_the_old_one_lives_on(self, home, as_role):
        source = source_in(home, "webhook")
        page = press(as_role(Role.MANAGER), source, "rotate-secret", keep_hours=2)
        stored = only_source(home)
        assert page.context["text"] == stored.secret != source.secret
        assert stored.secrets(at=stored.previous_secret_until.replace(year=2000)) == [stored.secret, source.secret]
        assert (
            stored.secret not in as_role(Role.MANAGER).get(address(IntakeSource, "change", source.pk)).content.decode()
        )

    def test_a_mailboxs_has_to_be_entered(self, home, as_role):
        source = source_in(home, "mailbox", MAILBOX, secret="before")
        page = press(as_role(Role.MANAGER), source, "rotate-secret", keep_hours=0)
        assert "Enter the secret" in page.content.decode()
        assert secret_of(source) == "before"
        press(as_role(Role.MANAGER), source, "rotate-secret", keep_hours=0, secret="after")
        assert secret_of(source) == "after"

    def test_a_mailbox_is_read_when_somebody_asks(self, home, as_role):
        source = source_in(home, "mailbox", MAILBOX, secret="before")
        with org_scope(home.org):
            IntakeSource.objects.for_org(home.org).filter(pk=source.pk).update(polled_at=AT)
        assert "poll" in buttons_on(as_role(Role.MANAGER).get(address(IntakeSource, "change", source.pk)))
        press(as_role(Role.MANAGER), source, "poll")
        assert only_source(home).polled_at is None


class TestTry:
    def try_(self, client: Any, source: IntakeSource, sample: str, **changes: str) -> str:
        page = client.get(address(IntakeSource, "change", source.pk))
        values = {**form_values(page, FORM), **changes, "sample": sample}
        answer = client.post(address(IntakeSource, "try", source.pk), values)
        assert answer.status_code == 200
        return str(answer.content.decode())

    def test_shows_what_a_sample_would_become_by_what_is_typed(self, home, as_role):
        source = source_in(home, "webhook")
        mapping = json.dumps({"snippet": {"paths": ["note"]}})
        text = self.try_(
            as_role(Role.MANAGER), source, '{"note": "<b>Call</b>"}', **{"options.mapping.fields": mapping}
        )
        assert "It would become a signal" in text
        assert "&lt;b&gt;Call&lt;/b&gt;" in text
        assert only_source(home).options == source.options
        with org_scope(home.org):
            assert services.preview_source(org=home.org, source_id=source.pk, sample={}, actor=CLERK, at=AT)[0].errors

    @pytest.mark.parametrize(
        ("sample", "changes", "sentence"),
        [
            ("{", {}, "The sample is no JSON."),
            ("{}", {"options.mapping.items": "a["}, "is no JSONPath"),
            ('{"x": 1}', {}, "It would be rejected"),
            ("{}", {"options.mapping.fields": "no json"}, "options"),
        ],
    )
    def test_says_what_is_wrong(self, home, as_role, sample, changes, sentence):
        source = source_in(home, "webhook")
        assert sentence in self.try_(as_role(Role.MANAGER), source, sample, **changes)

    def test_the_usual_samples_work(self, home, as_role):
        for kind in ("web_form", "webhook"):
            source = source_in(home, kind, name=kind)
            page = as_role(Role.MANAGER).get(address(IntakeSource, "change", source.pk))
            assert "It would become a signal" in self.try_(as_role(Role.MANAGER), source, page.context["sample"])
