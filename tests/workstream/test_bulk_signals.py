"""Thousands of signals in one call: a result for every row, a bad row costs nothing else, again creates nothing."""

from __future__ import annotations

import hashlib
import json
from functools import partial
from itertools import islice
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection

from flowledger.clients.models import Client, Contact
from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.scope import system_scope
from tests.client import ApiClient, bearer
from tests.queries import counted_queries
from tests.workstream.bulk import NDJSON, PATH, array, lines, row, send, statuses
from tests.workstream.trail import at_once, events_of, nothing_changes
from workstream.models import Signal, SignalDelivery, SignalPayload, SlaClock
from workstream.models.intake import IntakeReject


@pytest.mark.django_db
class TestResults:
    @pytest.mark.parametrize(("body", "media_type"), [(array, "application/json"), (lines, NDJSON)])
    def test_every_row_becomes_a_signal_and_has_its_result(self, as_rep: ApiClient, org, body, media_type):
        answer = send(as_rep, body([row(1), row(2), row(3)]), media_type)

        assert (answer.status_code, answer["Content-Type"]) == (200, NDJSON)
        assert statuses(answer) == ["created"] * 3
        signals = Signal.all_orgs.filter(org=org).order_by("pk")
        assert [line["signal_id"] for line in answer.results] == [signal.pk for signal in signals]
        assert [signal.source_ref for signal in signals] == ["crm-1", "crm-2", "crm-3"]
        assert [line["contact_id"] for line in answer.results] == [signal.contact_id for signal in signals]
        assert [line["identity_status"] for line in answer.results] == ["created"] * 3
        assert {signal.client_id for signal in signals} == set(Client.all_orgs.values_list("pk", flat=True))

    def test_a_row_is_kept_with_its_own_bytes_its_delivery_its_clock_and_its_event(self, as_rep, org):
        raw = b'[ {"source_type":"api",  "snippet":"as typed \xc3\xa9"} , {"source_type":"api"}]'
        answer = send(as_rep, raw)

        signal = Signal.all_orgs.get(pk=answer.results[0]["signal_id"])
        payload = SignalPayload.all_orgs.get(signal=signal)
        assert bytes(payload.body) == '{"source_type":"api",  "snippet":"as typed é"}'.encode()
        assert payload.sha256 == hashlib.sha256(bytes(payload.body)).hexdigest()
        delivery = SignalDelivery.all_orgs.get(signal=signal)
        assert (delivery.channel, delivery.is_repeat, delivery.sender) == ("bulk", False, "rita from 127.0.0.1")
        assert [clock.started_at for clock in SlaClock.all_orgs.filter(signal=signal)] == [signal.ts]
        assert events_of(signal) == ["signal.created"]

    def test_people_of_one_company_share_their_client(self, as_rep):
        rows = [row(n, company_name="Acme", contact_email=f"p{n}@acme.example") for n in range(5)]
        answer = send(as_rep, array(rows))

        assert len({line["client_id"] for line in answer.results}) == 1
        assert len({line["contact_id"] for line in answer.results}) == 5
        assert (Client.all_orgs.count(), Contact.all_orgs.count()) == (1, 5)

    def test_no_rows_have_no_results(self, as_rep):
        assert send(as_rep, b" [ ] ").results == []

    def test_a_single_object_is_one_row(self, as_rep):
        assert statuses(send(as_rep, json.dumps(row(1)).encode())) == ["created"]


@pytest.mark.django_db
class TestBadRows:
    BAD = [
        (b'{"source_type": "api", "snippet": }', "invalid_json", "not valid JSON"),
        (b'{"source_type": "api", "snippet": "\xff"}', "invalid_json", "utf-8"),
        (b'{"source_type": "api", "snippet": "\\u0000"}', "invalid_json", "NUL"),
        (b'{"source_type": "api", "snippet": "\\ud800"}', "invalid_json", "surrogate"),
        (b'{"source_type": "api", "attributes": ' + b'{"a":' * 40 + b"1" + b"}" * 41, "invalid_json", "nested"),
        (b'{"source_type": "api", "urgency_score": 1e999}', "invalid_json", "range of a double"),
        (b'{"source_type": "api", "urgency_score": NaN}', "invalid_json", "NaN"),
        (b'{"source_type": "pigeon"}', "validation_error", "source_type"),
        (b'{"snippet": "no type"}', "validation_error", "source_type: This field is required."),
        (b'{"source_type": "api", "mood": "good"}', "validation_error", "mood: Unknown field."),
        (b'{"source_type": "api", "snippet": "' + b"x" * 1001 + b'"}', "validation_error", "1000 characters"),
        (b'{"source_type": "api", "owner_user_id": 999999}', "validation_error", "There is no member 999999."),
        (b'{"source_type": "api", "org_id": 999999}', "permission_denied", "another organisation"),
        (b'"text"', "not_an_object", "JSON object"),
        (b"17", "not_an_object", "JSON object"),
        (b'{"source_type": "api"]}', "invalid_json", "not valid JSON"),
    ]

    @pytest.mark.parametrize(("bad", "code", "words"), BAD)
    def test_in_the_middle_costs_nothing_else(self, as_rep, org, bad, code, words):
        good = [json.dumps(row(number)).encode() for number in (1, 2)]
        answer = send(as_rep, b"[" + b",\n".join([good[0], bad, good[1]]) + b"]")

        assert statuses(answer) == ["created", "rejected", "created"]
        refused = answer.results[1]
        assert (refused["code"], words in refused["error"]) == (code, True), refused
        reject = IntakeReject.all_orgs.get(pk=refused["reject_id"])
        assert (bytes(reject.body), reject.sha256) == (bad, hashlib.sha256(bad).hexdigest())
        assert (reject.reason, reject.code, reject.channel) == (refused["error"], code, "bulk")
        assert WorkEvent.all_orgs.filter(item_type="intake_reject", item_id=reject.pk).count() == 1

    def test_in_lines_cost_nothing_else_even_where_nothing_closes(self, as_rep):
        body = lines([row(1)]) + b'{"snippet": "no end\n' + lines([row(2)])

        assert statuses(send(as_rep, body, NDJSON)) == ["created", "rejected", "created"]

    def test_an_array_that_was_cut_keeps_what_was_whole(self, as_rep, org):
        body = array([row(1), row(2)])[:-40]
        answer = send(as_rep, body)

        assert statuses(answer) == ["created", "rejected"]
        assert bytes(IntakeReject.all_orgs.get(org=org).body) == body[body.index(b'{"source_type"', 5) :]

    def test_a_row_that_is_too_long_is_kept_by_its_beginning(self, as_rep, settings: LazySettings):
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 70_000
        long = row(2, attributes={"text": "x" * 80_000})
        answer = send(as_rep, array([row(1), long, row(3)]))

        assert statuses(answer) == ["created", "rejected", "created"]
        assert answer.results[1]["code"] == "too_long"
        reject = IntakeReject.all_orgs.get(pk=answer.results[1]["reject_id"])
        assert bytes(reject.body) == json.dumps(long).encode()[: 1 << 16]

    def test_the_same_bad_bytes_are_one_reject_that_counts(self, as_rep, org):
        for _ in range(2):
            answer = send(as_rep, b"[17, 17, 18]")

        assert statuses(answer) == ["rejected"] * 3
        rejects = IntakeReject.all_orgs.filter(org=org).order_by("pk")
        assert [(bytes(reject.body), reject.occurrences) for reject in rejects] == [(b"17", 4), (b"18", 2)]
        assert WorkEvent.all_orgs.filter(org=org, event_name="intake.rejected").count() == 2


@pytest.mark.django_db
class TestSendingAgain:
    def test_by_reference_creates_nothing(self, as_rep, org):
        first = send(as_rep, array([row(1), row(2)]))
        again = send(as_rep, array([row(2), row(1, snippet="Changed"), row(3)]))

        assert statuses(again) == ["repeated", "repeated", "created"]
        assert [line["signal_id"] for line in again.results[:2]] == [
            first.results[1]["signal_id"],
            first.results[0]["signal_id"],
        ]
        assert Signal.all_orgs.filter(org=org).count() == 3
        signal = Signal.all_orgs.get(pk=first.results[0]["signal_id"])
        assert events_of(signal) == ["signal.created", "signal.repeated"]
        assert SignalDelivery.all_orgs.filter(signal=signal, is_repeat=True, channel="bulk").count() == 1

    def test_the_same_body_without_references_creates_nothing(self, as_rep, org):
        body = array([row(1, source_ref=""), row(1, source_ref="")])
        first, again = send(as_rep, body), send(as_rep, body)

        assert (statuses(first), statuses(again)) == (["created"] * 2, ["repeated"] * 2)
        assert [line["signal_id"] for line in again.results] == [line["signal_id"] for line in first.results]
        assert Signal.all_orgs.filter(org=org).count() == 2

    def test_a_row_that_comes_twice_in_one_body_is_one_signal(self, as_rep, org):
        answer = send(as_rep, array([row(1), row(1)]))

        assert statuses(answer) == ["created", "repeated"]
        assert answer.results[0]["signal_id"] == answer.results[1]["signal_id"]
        assert Signal.all_orgs.filter(org=org).count() == 1

    def test_the_same_key_and_body_answer_the_same_signals(self, as_rep, org):
        body = array([row(1, source_ref=""), row(2)])
        first, again = (send(as_rep, body, **{"Idempotency-Key": "day-1"}) for _ in range(2))

        assert statuses(again) == ["repeated"] * 2
        assert [line["signal_id"] for line in again.results] == [line["signal_id"] for line in first.results]
        assert Signal.all_orgs.filter(org=org).count() == 2

    def test_another_key_means_new_signals_where_rows_bring_none(self, as_rep):
        body = array([row(1, source_ref=""), row(2)])
        send(as_rep, body, **{"Idempotency-Key": "day-1"})

        assert statuses(send(as_rep, body, **{"Idempotency-Key": "day-2"})) == ["created", "repeated"]

    def test_one_key_for_two_bodies_is_refused(self, as_rep):
        send(as_rep, array([row(1)]), **{"Idempotency-Key": "day-1"})
        with nothing_changes():
            answer = send(as_rep, array([row(2)]), **{"Idempotency-Key": "day-1"})
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")

    def test_a_malformed_key_is_refused(self, as_rep):
        with nothing_changes():
            assert send(as_rep, array([row(1)]), **{"Idempotency-Key": "a b"}).status_code == 400


@pytest.mark.django_db
class TestLimits:
    def test_too_many_rows_are_refused_with_what_to_do(self, as_rep, settings):
        settings.MAX_BULK_ROWS = 3
        with nothing_changes():
            answer = send(as_rep, array(map(row, range(4))))
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
        assert "more than 3 rows" in answer.json()["error"]
        assert "several calls" in answer.json()["error"]
        assert send(as_rep, array(map(row, range(3)))).status_code == 200

    def test_too_many_bytes_are_refused_with_what_to_do(self, as_rep, settings):
        settings.MAX_BULK_BYTES = 500
        with nothing_changes():
            answer = send(as_rep, array(map(row, range(4))))
        assert (answer.status_code, answer.json()["max_bytes"]) == (413, 500)
        assert "several calls" in answer.json()["error"]

    @pytest.mark.parametrize("media_type", ["text/csv", "multipart/form-data; boundary=x"])
    def test_another_kind_of_body_is_refused(self, as_rep, media_type):
        with nothing_changes():
            assert send(as_rep, array([row(1)]), media_type).status_code == 415

    def test_an_empty_body_is_refused(self, as_rep):
        with nothing_changes():
            assert send(as_rep, b"").status_code == 400

    def test_a_viewer_is_refused(self, as_viewer):
        with nothing_changes():
            assert send(as_viewer, array([row(1)])).status_code == 403

    def test_a_key_needs_the_scope(self, client_for):
        assert send(client_for(["signals:write"]), array([row(1)])).status_code == 200
        with nothing_changes():
            assert send(client_for(["signals:read"]), array([row(2)])).status_code == 403

    def test_without_a_credential_nothing_is_read(self):
        with nothing_changes():
            assert send(ApiClient(), array([row(1)])).status_code == 401


@pytest.mark.django_db
class TestCost:
    def test_a_chunk_costs_the_same_statements_however_many_rows_it_has(self, as_rep):
        send(as_rep, array([row(0)]))
        counts = []
        for first, number in ((1, 2), (100, 60)):
            rows = [row(n) for n in range(first, first + number)]
            rows += [17, {"mood": first}, row(first), rows[0]]
            with counted_queries() as statements:
                send(as_rep, array(rows))
            counts.append(len(statements))

        assert counts[0] == counts[1]

    def test_repeats_cost_three_statements(self, as_rep):
        body = array(map(row, range(40)))
        send(as_rep, body)
        with counted_queries() as statements:
            send(as_rep, body)

        # Who calls, known keys, deliveries, events.
        assert len(statements) == 4, statements


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("transactional_db")
class TestAtOnce:
    def test_a_caller_that_goes_away_loses_no_row_that_was_answered(self, rep, org):
        body = lines(map(row, range(1200)))
        answer = ApiClient(bearer(rep)).generic("POST", PATH, body, NDJSON)
        told = b"".join(islice(answer.streaming_content, 1)).decode().splitlines()
        answer.close()

        assert len(told) == 500
        with system_scope("tests"):
            # The chunk that was underway is entered; none was begun after it.
            assert Signal.all_orgs.filter(org=org).count() == 1000
        again = send(ApiClient(bearer(rep)), body, NDJSON)
        assert statuses(again) == ["repeated"] * 1000 + ["created"] * 200
        with system_scope("tests"):
            assert Signal.all_orgs.filter(org=org).count() == 1200

    def test_four_calls_of_overlapping_rows_and_single_posts_wait_for_each_other_and_agree(self, rep, org):
        def bulk(numbers: list[int]) -> Any:
            return send(ApiClient(bearer(rep)), array(map(row, numbers)))

        def single(number: int) -> Any:
            return ApiClient(bearer(rep)).post("/api/signals", row(number))

        numbers = list(range(300))
        calls = [numbers, numbers[::-1], numbers[100:] + numbers[:100], numbers[::2] + numbers[1::2]]
        answers = at_once(
            *(partial(bulk, each) for each in calls), *(partial(single, number) for number in (3, 150, 297, 299))
        )

        assert [answer for answer in answers if isinstance(answer, Exception)] == []
        assert {status for answer in answers[:4] for status in statuses(answer)} <= {"created", "repeated"}
        assert {answer.status_code for answer in answers[4:]} <= {200, 201}
        by_ref: dict[str, set[int]] = {}
        for numbers_sent, answer in zip(calls, answers[:4], strict=True):
            for number, line in zip(numbers_sent, answer.results, strict=True):
                by_ref.setdefault(f"crm-{number}", set()).add(line["signal_id"])
        assert {len(found) for found in by_ref.values()} == {1}
        created = sum(status == "created" for answer in answers[:4] for status in statuses(answer))
        assert created + sum(answer.status_code == 201 for answer in answers[4:]) == 300
        with system_scope("tests"), connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*), count(DISTINCT dedupe_key) FROM workstream_signal WHERE org_id = %s", [org.pk]
            )
            assert cursor.fetchone() == (300, 300)
            assert Client.all_orgs.filter(org=org).count() == 300
            assert Contact.all_orgs.filter(org=org).count() == 300
            assert WorkEvent.all_orgs.filter(org=org, event_name="signal.created").count() == 300
            assert SignalDelivery.all_orgs.filter(org=org).count() == 4 * 300 + 4
