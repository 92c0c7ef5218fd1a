"""Property tests: whatever bytes an authenticated caller sends become signals or stored rejects with a reason.

Nothing raises to a 500, nothing is lost, and one row never costs another.
"""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from flowledger.api import strict_json
from tests.client import ApiClient
from tests.workstream.bulk import NDJSON, send
from workstream.api.serializers.signals import SignalSerializer
from workstream.intake.fields import TEXT_LIMITS, FieldErrors, read_fields, read_parsed_fields
from workstream.intake.rows import find_rows, read_row
from workstream.models import Signal, SignalDelivery, SignalPayload
from workstream.models.intake import IntakeReject

FEW = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
MANY = settings(max_examples=400, deadline=None)

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats()
    | st.text(max_size=30)
    | st.sampled_from(["\x00", "\ud800", "x" * 1001, "2026-03-01T09:30:00Z", "0001-01-01T00:00:00+23:59", "1e400"])
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
NAMES = st.sampled_from([*SignalSerializer.Meta.fields, "org_id", "mood", "\x00"])
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=6)
LIKELY = st.fixed_dictionaries(
    {"source_type": st.sampled_from(["api", "note", "pigeon"])},
    optional={
        "snippet": st.text(max_size=40),
        "contact_email": st.text(max_size=40) | st.just("ann@acme.example"),
        "contact_phone": st.text(max_size=30) | st.just("+49 30 1234567"),
        "company_name": st.text(max_size=40),
        "company_domain": st.text(max_size=40) | st.just("acme.example"),
        "urgency_score": st.floats(-1, 2) | st.sampled_from([0, 1, 0.5, "0.25"]),
        "ts": st.datetimes().map(str) | st.text(max_size=10),
        "attributes": VALUES,
    },
)
BODIES = (
    st.binary(max_size=200)
    | st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass"))
    | (OBJECTS | LIKELY).map(lambda value: json.dumps(value).encode())
)


def _counts() -> tuple[int, int]:
    return SignalDelivery.all_orgs.count(), sum(IntakeReject.all_orgs.values_list("occurrences", flat=True))


@pytest.mark.django_db
class TestSinglePost:
    @FEW
    @given(body=BODIES, media_type=st.sampled_from(["application/json", "application/json; charset=utf-16", "x/y", ""]))
    @example(body=b"{}", media_type="application/json")
    @example(body=b"[" * 100_000, media_type="application/json")
    @example(body=b'{"source_type":"api","attributes":' + b"9" * 5000 + b"}", media_type="application/json")
    def test_any_bytes_are_a_signal_or_a_reject(self, as_rep: ApiClient, body, media_type):
        deliveries, rejects = _counts()
        answer = as_rep.generic("POST", "/api/signals", body, media_type)

        assert answer.status_code in {200, 201, 400, 403, 415}, answer.content
        if answer.status_code in {200, 201}:
            assert _counts() == (deliveries + 1, rejects)
            if answer.status_code == 201:
                assert bytes(SignalPayload.all_orgs.get(signal_id=answer.json()["signal_id"]).body) == body
        elif answer.status_code == 403:
            assert "org_id" in answer.json()["error"]
        elif body:
            assert _counts() == (deliveries, rejects + 1)
            reject = IntakeReject.all_orgs.get(pk=answer.json()["reject_id"])
            assert (bytes(reject.body), bool(reject.reason)) == (body, True)

    @FEW
    @given(
        headers=st.dictionaries(
            st.sampled_from(
                ["Idempotency-Key", "If-Match", "X-Request-Id", "Accept", "Content-Type", "Accept-Language"]
            ),
            st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=40),
            max_size=3,
        )
    )
    def test_any_headers_too(self, as_rep: ApiClient, headers):
        deliveries, rejects = _counts()
        body = json.dumps({"source_type": "api", "snippet": "As always"}).encode()
        media_type = headers.pop("Content-Type", "application/json")
        answer = as_rep.generic("POST", "/api/signals", body, media_type, headers=headers)

        assert answer.status_code in {200, 201, 400, 409, 415}, answer.content
        kept = _counts()
        assert kept in {(deliveries + 1, rejects), (deliveries, rejects + 1)} or "Idempotency-Key" in headers


@pytest.mark.django_db
class TestBulk:
    @FEW
    @given(
        rows=st.lists(BODIES | LIKELY.map(lambda value: json.dumps(value).encode()), max_size=6), as_lines=st.booleans()
    )
    def test_every_row_has_a_result_that_is_stored(self, as_rep: ApiClient, rows, as_lines):
        deliveries, rejects = _counts()
        if as_lines:
            body, media_type = b"\n".join(rows), NDJSON
        else:
            body, media_type = b"[" + b",".join(rows) + b"]", "application/json"
        answer = send(as_rep, body, media_type)

        if not body:
            assert answer.status_code == 400
            return
        assert answer.status_code == 200
        found = [line["status"] for line in answer.results]
        assert set(found) <= {"created", "repeated", "rejected"}, answer.results
        expected = len(list(find_rows(io.BytesIO(body), as_lines=as_lines)))
        assert len(found) == expected
        kept = found.count("created") + found.count("repeated")
        assert _counts() == (deliveries + kept, rejects + found.count("rejected"))
        for line in answer.results:
            if line["status"] == "rejected":
                assert IntakeReject.all_orgs.get(pk=line["reject_id"]).reason == line["error"]
            else:
                assert Signal.all_orgs.filter(pk=line["signal_id"]).exists()

    @FEW
    @given(body=st.binary(max_size=300))
    def test_any_bytes_at_all(self, as_rep: ApiClient, body):
        for media_type in ("application/json", NDJSON):
            answer = send(as_rep, body, media_type)
            assert answer.status_code == (200 if body else 400)
            assert "failed" not in [line["status"] for line in answer.results]


class TestRows:
    @MANY
    @given(items=st.lists(VALUES, max_size=6), indent=st.sampled_from([None, 1]), ascii_only=st.booleans())
    def test_an_array_is_its_items(self, items, indent, ascii_only):
        text = json.dumps(items, indent=indent, ensure_ascii=ascii_only)
        body = text.encode("utf-8", "surrogatepass")
        found = [body[start:end].strip() for start, end in find_rows(io.BytesIO(body), as_lines=False)]

        assert [json.dumps(json.loads(each.decode("utf-8", "surrogatepass"))) for each in found] == [
            json.dumps(item) for item in items
        ]

    @MANY
    @given(
        body=st.binary(max_size=300) | st.text('[]{}",\\ ab1\n', max_size=60).map(str.encode), as_lines=st.booleans()
    )
    def test_nothing_visible_is_lost(self, body, as_lines):
        """Outside of rows there is only what separates them."""
        spans = list(find_rows(io.BytesIO(body), as_lines=as_lines))
        rest, end = b"", 0
        for start, stop in spans:
            assert start >= end
            rest, end = rest + body[end:start], stop
        rest += body[end:]

        assert rest.removeprefix(b"\xef\xbb\xbf").strip(b"[], \t\r\n") == b""

    @MANY
    @given(body=st.binary(max_size=200))
    def test_a_row_is_fields_or_a_reason(self, body):
        for number, span in enumerate(find_rows(io.BytesIO(body), as_lines=True), start=1):
            row = read_row(io.BytesIO(body), number, span, max_bytes=100)
            assert bool(row.code) == bool(row.reason)
            assert isinstance(row.fields, dict)


class TestFields:
    @MANY
    @given(raw=OBJECTS | LIKELY)
    @example(raw={"source_type": "api", "urgency_score": 0.005})
    @example(raw={"source_type": "api", "ts": "2026-03-01"})
    @example(raw={"source_type": "api", "ts": None})
    @example(raw={"source_type": "api", "urgency_score": " "})
    def test_the_ledger_and_the_single_endpoint_take_the_same(self, raw: dict[str, Any]):
        """One set of limits: what the representation refuses, bulk refuses for the same fields, and the other way."""
        try:
            strict_json.require_storable(raw)
        except strict_json.Unusable:
            return  # neither door lets it as far as the fields
        raw = {name: value for name, value in raw.items() if name not in {"owner_user_id", "org_id"}}
        serializer = SignalSerializer(data=raw)
        is_valid = serializer.is_valid()
        try:
            fields = read_fields(raw)
        except FieldErrors as error:
            assert not is_valid, error.errors
            # The representation stops at unknown names, the ledger goes on to the values.
            assert set(serializer.errors) <= set(error.errors)
            return
        assert is_valid, serializer.errors
        given_back = dict(serializer.validated_data)
        dedupe_key = given_back.pop("dedupe_key", None) or ""
        assert fields.dedupe_key == dedupe_key
        assert {name: getattr(fields, name) for name in given_back} == given_back

    @MANY
    @given(raw=LIKELY)
    def test_what_was_read_is_read_again_the_same(self, raw):
        try:
            fields = read_fields(raw)
        except FieldErrors as error:
            readable = {name: value for name, value in error.readable.items() if name != "source_type"}
            read_fields(readable, default_source_type="api")
            return
        assert read_fields(json.loads(json.dumps(fields.as_json()))) == fields

    @MANY
    @given(text=st.text(max_size=1500), name=st.sampled_from(["snippet", "company_name", "contact_name"]))
    def test_parsed_texts_are_cut_and_never_refused(self, text, name):
        fields = read_parsed_fields({name: text}, default_source_type="email")

        assert "\x00" not in getattr(fields, name)
        assert len(getattr(fields, name)) <= TEXT_LIMITS[name]
