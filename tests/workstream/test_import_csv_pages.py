"""The pages of CSV imports: upload, columns with a preview, progress by conditional polling, result, undo, refusals."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from flowledger.tenancy.actors import Role
from flowledger.tenancy.scope import org_scope
from tests.queries import counted_queries
from tests.workstream.back_office import form_values, said
from tests.workstream.csv_imports import CLERK, imported, start, text_of, undone, upload
from workstream import services
from workstream.models import ImportRun, Signal
from workstream.services.import_rows import import_chunk

pytestmark = pytest.mark.django_db

LIST, NEW = reverse("admin:imports"), reverse("admin:import_new")
BODY = text_of(["Name", "Email", "Message"], [["Ann", "ann@acme.example", "Hello"], ["Bob", "", "x" * 1001]])


@pytest.fixture(autouse=True)
def no_wake(settings: Any) -> None:
    settings.OUTBOX_WAKE = False


@pytest.fixture
def manager(as_role: Any) -> Any:
    return as_role(Role.MANAGER)


def page(name: str, run: Any) -> str:
    return reverse(f"admin:{name}", args=[run.pk])


def only_run(home: Any) -> ImportRun:
    with org_scope(home.org):
        found: ImportRun = ImportRun.objects.for_org(home.org).get()
        return found


class TestUpload:
    def test_leads_to_the_columns(self, home, manager):
        answer = manager.post(NEW, {"file": SimpleUploadedFile("leads.csv", BODY), "kind": "signals"}, follow=True)
        run = only_run(home)

        assert answer.redirect_chain == [(page("import", run), 302)]
        values = form_values(answer, "import-form")
        assert {name: value for name, value in values.items() if name.startswith("column_")} == {
            "column_0": "contact_name",
            "column_1": "contact_email",
            "column_2": "snippet",
        }
        assert b"ann@acme.example" in answer.content
        with org_scope(home.org):
            assert run.started_by == home.people[Role.MANAGER]

    @pytest.mark.parametrize(
        ("data", "sentence"),
        [
            ({"kind": "signals"}, "Choose a file."),
            ({"file": SimpleUploadedFile("e.csv", b""), "kind": "signals"}, "empty"),
            ({"file": SimpleUploadedFile("e.csv", b"Email\n"), "kind": "contacts"}, "no rows below"),
        ],
    )
    def test_a_refusal_stays_on_the_form(self, home, manager, data, sentence):
        answer = manager.post(NEW, data)

        assert answer.status_code == 200
        assert sentence in re.search(r'role="alert"[^>]*>(.*?)</div>', answer.content.decode(), re.DOTALL)[1]
        with org_scope(home.org):
            assert not ImportRun.objects.for_org(home.org).exists()


class TestColumns:
    def test_the_preview_follows_the_choices_and_imports_nothing(self, home, manager):
        run = upload(home.org, BODY)
        values = form_values(manager.get(page("import", run)), "import-form")
        text = manager.post(page("import_preview", run), values).content.decode()
        assert re.findall(r'data-row="(\d)" data-outcome="(\w+)"', text) == [("1", "created"), ("2", "rejected")]
        assert "Creates the contact Ann." in text

        other = manager.post(page("import_preview", run), {**values, "column_2": ""}).content.decode()
        assert re.findall(r'data-outcome="(\w+)"', other) == ["created", "created"]
        assert "snippet" not in only_run(home).mapping.values()
        wrong = manager.post(page("import_preview", run), {**values, "column_0": "snippet"})
        assert "a field is one column" in wrong.content.decode()
        with org_scope(home.org):
            assert not Signal.objects.for_org(home.org).exists()

    def test_start_takes_what_the_form_says(self, home, manager):
        run = upload(home.org, BODY)
        values = form_values(manager.get(page("import", run)), "import-form")
        manager.post(page("import_start", run), {**values, "column_0": "attributes.Name", "fires_rules": "on"})

        stored = only_run(home)
        assert (stored.status, stored.fires_rules) == ("running", True)
        assert stored.mapping["Name"] == "attributes.Name"
        assert stored.started_by == home.people[Role.MANAGER]

    def test_a_refusal_starts_nothing(self, home, manager):
        run = upload(home.org, BODY)
        values = form_values(manager.get(page("import", run)), "import-form")
        blank = {name: "" if name.startswith("column_") else value for name, value in values.items()}
        answer = manager.post(page("import_start", run), blank, follow=True)

        assert "Map at least one column" in said(answer)
        assert only_run(home).status == "uploaded"


class TestProgress:
    def test_polling_costs_a_304_until_a_chunk_is_done(self, home, manager):
        run = upload(home.org, text_of(["Message"], [[f"Sign {n}"] for n in range(700)]))
        start(home.org, run)
        shown = manager.get(page("import", run)).content.decode()
        etag = re.search(r'data-etag="(.*?)"', shown)[1].replace("&quot;", '"')
        assert f'hx-get="{page("import_progress", run)}"' in shown

        assert manager.get(page("import_progress", run), headers={"If-None-Match": etag}).status_code == 304
        import_chunk(org=home.org, run_id=run.pk, at=run.created_at)
        fresh = manager.get(page("import_progress", run), headers={"If-None-Match": etag})
        assert (fresh.status_code, fresh["ETag"] != etag) == (200, True)
        assert "500 of 700 rows, 71 %" in fresh.content.decode()
        assert 'max="700" value="500"' in fresh.content.decode()
        import_chunk(org=home.org, run_id=run.pk, at=run.created_at)
        done = manager.get(page("import_progress", run)).content.decode()
        assert ('data-status="done"' in done, "hx-get" in done, "Undo the import" in done) == (True, False, True)

    def test_the_result_names_what_was_rejected_and_has_the_file(self, home, manager):
        run = imported(home.org, BODY)
        text = manager.get(page("import", run)).content.decode()
        assert re.findall(r'data-rejected="(\d+)"', text) == ["2"]
        assert "no more than 1000 characters" in text
        errors = manager.get(page("import_errors", run))
        assert errors.content.decode("utf-8-sig").startswith("Name,Email,Message,Row in the file")

    def test_stopping_and_undoing_by_their_buttons(self, home, manager):
        run = upload(home.org, BODY)
        start(home.org, run)
        assert "was stopped" in said(manager.post(page("import_cancel", run), follow=True))
        manager.post(page("import_undo", run))
        assert only_run(home).status == "undoing"
        assert "cannot go from" in said(manager.post(page("import_undo", run), follow=True))

    def test_what_the_undo_kept_is_listed_with_links(self, home, manager):
        run = imported(home.org, BODY)
        with org_scope(home.org):
            signal = Signal.objects.for_org(home.org).get()
        services.reject_signal(org=home.org, signal_id=signal.pk, reason="Spam", actor=CLERK, at=run.created_at)
        undone(home.org, run)
        text = manager.get(page("import", run)).content.decode()

        assert "It is rejected since." in text
        assert reverse("admin:workstream_signal_change", args=[signal.pk]) in text


class TestWho:
    def test_managers_and_above_of_the_same_organisation(self, home, abroad, as_role, browse):
        run = imported(home.org, BODY)
        away = imported(abroad.org, BODY)
        pages = [LIST, NEW, page("import", run), page("import_progress", run), page("import_errors", run)]
        for role in (Role.VIEWER, Role.REP):
            assert {as_role(role).get(each).status_code for each in pages} == {403}
            assert as_role(role).post(page("import_undo", run)).status_code == 403
        admin = as_role(Role.ADMIN)
        assert {admin.get(each).status_code for each in pages} == {200}
        for name in ("import", "import_progress", "import_errors"):
            assert admin.get(page(name, away)).status_code == 404
        for name in ("import_preview", "import_start", "import_cancel", "import_undo"):
            assert admin.post(page(name, away)).status_code == 404
        with org_scope(home.org):
            assert ImportRun.objects.for_org(home.org).get().status == "done"

    def test_the_list_asks_as_often_for_many_as_for_few(self, home, manager):
        imported(home.org, BODY)
        manager.get(LIST)
        with counted_queries() as few:
            assert manager.get(LIST).content.count(b"data-import=") == 1
        for _ in range(6):
            imported(home.org, BODY)
        with counted_queries() as many:
            assert manager.get(LIST).content.count(b"data-import=") == 7

        assert len(few) == len(many)
