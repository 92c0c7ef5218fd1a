"""`/api/signals/import`: upload, map, preview, start, watch, errors, undo, as programs do it."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test.client import MULTIPART_CONTENT

from flowledger.clients.models import Contact
from flowledger.tenancy.actors import Role
from flowledger.tenancy.scope import org_scope
from tests.client import ApiClient
from tests.queries import counted_queries
from tests.workstream.csv_imports import CLERK, imported, text_of, undone, work
from workstream import services
from workstream.models import ImportRun, Signal

pytestmark = pytest.mark.django_db
PATH = "/api/signals/import"
BODY = text_of(
    ["Name", "Email", "Message"],
    [
        ["Ann", "ann@acme.example", "Hello"],
        ["=cmd()", "bob@acme.example", "x" * 1001],
        ["Cid", "cid@acme.example", "Hi"],
    ],
)


def send(client: ApiClient, body: bytes, *, name: str = "leads.csv", **fields: Any) -> Any:
    upload = SimpleUploadedFile(name, body, content_type="text/csv")
    return client.post(PATH, {"file": upload, **fields}, content_type=MULTIPART_CONTENT)


def wrong(answer: Any) -> dict[str, list[str]]:
    assert answer.status_code == 400, answer.content
    found: dict[str, list[str]] = answer.json()["fields"]
    return found


def _with_key(issued: tuple[Any, str]) -> ApiClient:
    return ApiClient(f"Api-Key {issued[1]}")


class TestUpload:
    def test_the_way_of_an_import(self, org, as_manager):
        answer = send(as_manager, BODY)
        assert answer.status_code == 201, answer.content
        run = answer.json()
        assert (run["status"], run["rows_total"], run["rows_done"], run["encoding"]) == ("uploaded", 3, 0, "utf-8")
        assert run["mapping"] == {"Name": "contact_name", "Email": "contact_email", "Message": "snippet"}
        assert run["headers"] == ["Name", "Email", "Message"]
        assert "attributes.<anything>" in run["allowed_fields"]
        path = f"{PATH}/{run['import_id']}"

        preview = as_manager.get(f"{path}/preview").json()["data"]
        assert [(row["row_number"], row["outcome"]) for row in preview] == [
            (1, "created"),
            (2, "rejected"),
            (3, "created"),
        ]
        assert preview[0]["effects"] == ["Creates the contact Ann.", "Creates the client acme.example."]
        with org_scope(org):
            assert not Signal.objects.for_org(org).exists()

        chosen = as_manager.patch(
            path,
            {"mapping": {**run["mapping"], "Name": "attributes.who"}, "fires_rules": True},
            content_type="application/json",
        )
        assert chosen.json()["fires_rules"] is True
        started = as_manager.post(f"{path}/start")
        assert (started.status_code, started.json()["status"]) == (200, "running")
        with org_scope(org):
            work(org, ImportRun.objects.for_org(org).get())

        read = as_manager.get(path)
        assert {name: read.json()[name] for name in ("status", "created_count", "rejected_count", "rows_done")} == {
            "status": "done",
            "created_count": 2,
            "rejected_count": 1,
            "rows_done": 3,
        }
        assert as_manager.get(path, headers={"If-None-Match": read["ETag"]}).status_code == 304

        errors = as_manager.get(f"{path}/errors")
        assert errors["Content-Type"] == "text/csv; charset=utf-8"
        lines = list(csv.reader(io.StringIO(b"".join(errors.streaming_content).decode())))
        assert lines[0] == ["Name", "Email", "Message", "Row in the file", "What is wrong"]
        # What a spreadsheet would calculate is text.
        assert lines[1][0] == "'=cmd()"
        assert lines[1][3:] == ["2", "snippet: Ensure this field has no more than 1000 characters."]
        assert len(lines) == 2

        assert as_manager.post(f"{path}/undo").json()["status"] == "undoing"

    def test_the_error_file_can_be_corrected_and_sent_again(self, org, as_manager):
        run = imported(org, BODY)
        errors = as_manager.get(f"{PATH}/{run.pk}/errors?bom=1")
        text = b"".join(errors.streaming_content).decode("utf-8-sig").replace("x" * 1001, "Better")
        again = send(as_manager, text.encode()).json()
        with org_scope(org):
            second = ImportRun.objects.for_org(org).get(pk=again["import_id"])
        services.start_import(org=org, import_id=second.pk, actor=CLERK, at=second.created_at)
        work(org, second)
        with org_scope(org):
            assert Signal.objects.for_org(org).get(contact_email="bob@acme.example").contact_name == "=cmd()"

    @pytest.mark.parametrize(
        ("body", "sentence"),
        [
            (b"", "The file is empty"),
            (b"Email,Message\n", "headings and no rows"),
            (b"\x00" * 50, "cannot be read"),
            (b"a," * 300 + b"b\n1\n", "301 columns"),
        ],
    )
    def test_files_that_are_none(self, org, as_manager, body, sentence):
        assert sentence in wrong(send(as_manager, body))["file"][0]
        with org_scope(org):
            assert not ImportRun.objects.for_org(org).exists()

    @pytest.mark.parametrize(
        ("fields", "name"),
        [
            ({"kind": "deals"}, "kind"),
            ({"encoding": "rot13"}, "encoding"),
            ({"delimiter": "x"}, "delimiter"),
            ({"has_headings": "maybe"}, "has_headings"),
        ],
    )
    def test_what_is_said_wrongly_is_named(self, as_manager, fields, name):
        assert name in wrong(send(as_manager, BODY, **fields))

    def test_without_a_file(self, as_manager):
        assert "file" in wrong(as_manager.post(PATH, {"kind": "signals"}))

    def test_too_large_or_too_many_rows(self, org, as_manager, settings):
        settings.MAX_IMPORT_ROWS = 2
        assert "more than 2 rows" in wrong(send(as_manager, BODY))["file"][0]
        settings.MAX_IMPORT_BYTES = 100
        answer = send(as_manager, BODY)
        assert (answer.status_code, answer.json()["max_bytes"]) == (413, 100)
        with org_scope(org):
            assert not ImportRun.objects.for_org(org).exists()

    def test_one_that_says_so_is_not_even_read(self, as_manager, settings):
        settings.MAX_IMPORT_BYTES = 1000
        answer = send(as_manager, b"a\n" + b"1\n" * 100_000)

        assert answer.status_code == 413

    @pytest.mark.parametrize("name", ["../../etc/passwd", "C:\\files\\leads.csv", "x" * 300 + ".csv", "l\x07s.csv"])
    def test_strange_names_are_only_names(self, as_manager, name):
        answer = send(as_manager, BODY, name=name)

        assert answer.status_code in {201, 400}
        if answer.status_code == 201:
            assert "/" not in answer.json()["file_name"]

    def test_the_same_request_again_is_answered_again(self, org, as_manager):
        first, second = (
            as_manager.post(
                PATH,
                {"file": SimpleUploadedFile("leads.csv", BODY)},
                content_type=MULTIPART_CONTENT,
                headers={"Idempotency-Key": "once"},
            )
            for _ in range(2)
        )

        assert (first.status_code, second.content) == (201, first.content)
        with org_scope(org):
            assert ImportRun.objects.for_org(org).count() == 1


class TestOptions:
    def test_a_mapping_that_is_none(self, org, as_manager):
        path = f"{PATH}/{send(as_manager, BODY).json()['import_id']}"
        for body, sentence in (
            ({"mapping": {"Fax": "snippet"}}, "no such column"),
            ({"mapping": {"Email": "fax"}}, "choose one of: snippet"),
            ({"mapping": {}}, "Map at least one column"),
            ({"mapping": "snippet"}, "dictionary"),
            ({"mode": "upsert"}, "never changed"),
        ):
            answer = as_manager.patch(path, body, content_type="application/json")
            assert sentence in str(wrong(answer)), (body, answer.content)

    def test_once_started_it_is_final(self, as_manager):
        path = f"{PATH}/{send(as_manager, BODY).json()['import_id']}"
        as_manager.post(f"{path}/start")
        answers = [
            as_manager.patch(path, {"fires_rules": True}, content_type="application/json"),
            as_manager.get(f"{path}/preview"),
            as_manager.post(f"{path}/start"),
            as_manager.post(f"{path}/undo"),
        ]

        assert [answer.status_code for answer in answers] == [409, 409, 422, 422]


class TestWho:
    def test_managers_and_above(self, as_rep, as_viewer, as_stranger, org):
        run = imported(org, BODY)
        for client in (as_rep, as_viewer):
            assert client.get(PATH).status_code == 403
            assert send(client, BODY).status_code == 403
            assert client.post(f"{PATH}/{run.pk}/undo").status_code == 403
        for path in ("", "/preview", "/errors", "/kept"):
            assert as_stranger.get(f"{PATH}/{run.pk}{path}").status_code == 404

    def test_a_key_for_signals_enters_no_contacts(self, org, key_for):
        signals_only = _with_key(key_for(org, "signals:write", role=Role.MANAGER))
        both = _with_key(key_for(org, "signals:write", "clients:write", role=Role.MANAGER))

        assert send(signals_only, BODY).status_code == 201
        answer = send(signals_only, BODY, kind="contacts")
        assert (answer.status_code, answer.json()["error"]) == (403, "The API key lacks the scope clients:write.")
        assert send(both, BODY, kind="contacts").status_code == 201


class TestLists:
    def test_what_the_undo_kept(self, org, as_manager):
        run = imported(org, text_of(["Name", "Email"], [["Ann", "ann@acme.example"]]), kind="contacts")
        with org_scope(org):
            ann = Contact.objects.for_org(org).get()
        services.create_candidate(org=org, fields={"title": "Lead", "contact": ann}, actor=CLERK, at=run.created_at)
        undone(org, run)
        (row,) = as_manager.get(f"{PATH}/{run.pk}/kept").json()["data"]

        assert (row["item_type"], row["item_id"], row["row_number"]) == ("contact", ann.pk, 1)
        assert row["kept_reason"] == "It is named by 1 candidate."

    def test_a_list_asks_as_often_for_many_as_for_few(self, org, as_manager):
        for _ in range(2):
            imported(org, BODY)
        with counted_queries() as few:
            assert len(as_manager.get(PATH).json()["data"]) == 2
        for _ in range(8):
            imported(org, BODY)
        with counted_queries() as many:
            assert len(as_manager.get(f"{PATH}?status=done&kind=signals").json()["data"]) == 10

        assert len(few) == len(many) <= 6
