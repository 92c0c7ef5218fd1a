"""`/api/signals/bulk`: thousands of signals in one call, a result for every row while the rows are being entered."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

import structlog
from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import DatabaseError, InterfaceError, connection
from django.http import StreamingHttpResponse
from django.utils.timezone import now
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from flowledger.api import idempotency
from flowledger.api.base import OrgAPIView
from flowledger.api.spooling import SpooledBody, SpoolingParser
from flowledger.errors import FlowLedgerError, InvalidInput, TooLarge
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope
from flowledger.tenancy.statistics import analyse_outgrown
from workstream import services
from workstream.api.serializers.intake import BulkResultSerializer
from workstream.api.serializers.signals import SignalSerializer
from workstream.api.views.signals import sender_of
from workstream.intake.rows import Row, Span, find_rows, in_chunks
from workstream.models.signals import Channel
from workstream.services.ledger import WRITTEN
from workstream.services.receiving import MAX_CHUNK, Incoming, Outcome

log = structlog.get_logger(__name__)

NDJSON = "application/x-ndjson"
# Of one transaction, and so of what is in memory at a time.
CHUNK_BYTES = 8 << 20
# One is read while the database works on the other.
CHUNKS_AT_ONCE = 2
_ADVICE = "Send the rows in several calls; give each row a source_ref, so that sending one again creates nothing."


class JsonRows(SpoolingParser):
    """A JSON array of rows."""

    media_type = "application/json"
    advice = _ADVICE


class LinesOfJson(JsonRows):
    """A row in every line."""

    media_type = NDJSON


class NdjsonRows(LinesOfJson):
    """The same under another common name."""

    media_type = "application/ndjson"


class JsonlRows(LinesOfJson):
    """The same under another common name."""

    media_type = "application/jsonl"


@dataclass(frozen=True)
class Delivery:
    """One call: its rows, who sends them, and the name that stands in for natural keys that rows do not bring."""

    body: SpooledBody
    spans: Sequence[Span]
    name: str
    org: Organization
    actor: Actor
    sender: str
    at: datetime


class SignalsBulkView(OrgAPIView):
    """Many signals in one call."""

    scope = "signals"
    stays_in_scope = False
    # Its keys are bound to the body and answered by doing it again, which creates nothing.
    idempotent = False
    parser_classes = (JsonRows, LinesOfJson, NdjsonRows, JsonlRows)

    @extend_schema(
        request={"application/json": SignalSerializer(many=True), NDJSON: SignalSerializer},
        responses={(200, NDJSON): BulkResultSerializer},
        parameters=[
            OpenApiParameter(
                "Idempotency-Key",
                str,
                OpenApiParameter.HEADER,
                description="The same rows under another key are new signals; under the same key, or both times without"
                " one, the same signals are answered again.",
            )
        ],
    )
    def post(self, request: Request) -> StreamingHttpResponse:
        """Keep up to 10,000 signals, a JSON array or a JSON object in each line; the answer has a line for each.

        Rows are entered and answered in chunks: whoever goes away early loses no row that was entered, and may send
        the same body again. A bad row is a stored reject and costs nothing else.
        """
        at = now()
        body: Any = request.data
        if not isinstance(body, SpooledBody) or not body.size:
            sentence = "Send a JSON array of signals, or one JSON object in each line."
            raise InvalidInput(sentence, fields={"body": [sentence]})
        delivery = Delivery(
            body=body,
            spans=_spans(body),
            name=self._name(request, body),
            org=self.org,
            actor=self.actor,
            sender=sender_of(self),
            at=at,
        )
        return StreamingHttpResponse(results(delivery), content_type=NDJSON, headers={"X-Accel-Buffering": "no"})

    def _name(self, request: Request, body: SpooledBody) -> str:
        """The same for the same rows of the same call; claims its Idempotency-Key. Raises InvalidInput, Conflict."""
        key = idempotency.key_of(request)
        if key is None:
            return body.sha256[:32]
        caller = self.principal.name
        print_of_this = hashlib.sha256(f"POST {request.get_full_path()}\n{body.sha256}".encode()).hexdigest()
        with org_scope(self.org):
            idempotency.reserve(key, org_id=self.org.pk, actor_key=caller, fingerprint=print_of_this)
        return hashlib.sha256(f"{caller}\n{key}\n{body.sha256}".encode()).hexdigest()[:32]


def results(delivery: Delivery) -> Iterator[str]:
    """Enter the rows chunk by chunk, each in a transaction of its own, and tell of them in their order.

    While the database works on one chunk the next is read. Whoever goes away is not waited for longer than that.
    """
    with delivery.body.file as file:
        chunks = in_chunks(
            file,
            delivery.spans,
            max_rows=MAX_CHUNK,
            max_bytes=CHUNK_BYTES,
            max_row_bytes=settings.DATA_UPLOAD_MAX_MEMORY_SIZE,
        )
        if len(delivery.spans) <= MAX_CHUNK:
            for chunk in chunks:
                yield _lines(delivery, chunk)
            return
        with ThreadPoolExecutor(CHUNKS_AT_ONCE, thread_name_prefix="bulk") as pool:
            underway: deque[Future[str]] = deque()
            for chunk in chunks:
                analyse_outgrown(WRITTEN)
                underway.append(pool.submit(copy_context().run, _lines_of_thread, delivery, chunk))
                if len(underway) == CHUNKS_AT_ONCE:
                    yield underway.popleft().result()
            while underway:
                yield underway.popleft().result()


def _lines_of_thread(delivery: Delivery, chunk: Sequence[Row]) -> str:
    try:
        return _lines(delivery, chunk)
    finally:
        # A thread of the pool has a connection of its own, which nobody else would close.
        connection.close()


def _lines(delivery: Delivery, chunk: Sequence[Row]) -> str:
    return "".join(f"{json.dumps(line, cls=DjangoJSONEncoder)}\n" for line in _enter(delivery, chunk))


def _enter(delivery: Delivery, chunk: Sequence[Row]) -> list[dict[str, Any]]:
    """One line for each row. What the database could not do now, also not at a second try, is to be sent again."""
    items = [_incoming(delivery, row) for row in chunk]
    failure: Exception | None = None
    for _ in range(2):
        try:
            outcomes = services.receive_signals(
                org=delivery.org,
                items=items,
                channel=Channel.BULK,
                sender=delivery.sender,
                actor=delivery.actor,
                at=delivery.at,
            )
        except (DatabaseError, InterfaceError, FlowLedgerError) as error:
            failure = error
            connection.close_if_unusable_or_obsolete()
        else:
            return [_line(row, outcome) for row, outcome in zip(chunk, outcomes, strict=True)]
    log.error("bulk_chunk_failed", rows=len(chunk), first_row=chunk[0].number, exc_info=failure)
    sentence = "This row was not entered, because the database is busy or away; send the same body again."
    if isinstance(failure, FlowLedgerError):
        sentence = failure.message
    return [{"row": row.number, "status": "failed", "code": "unavailable", "error": sentence} for row in chunk]


def _incoming(delivery: Delivery, row: Row) -> Incoming:
    foreign = row.fields.get("org_id") not in (None, delivery.org.pk, str(delivery.org.pk))
    sentence = "org_id names another organisation than the one you are signed in to."
    return Incoming(
        fields=row.fields,
        body=row.body,
        dedupe_key=f"bulk:{delivery.name}:{row.number}",
        code="permission_denied" if foreign else row.code,
        reason=sentence if foreign else row.reason,
        errors={"org_id": [sentence]} if foreign else {},
    )


def _line(row: Row, outcome: Outcome) -> dict[str, Any]:
    if outcome.status == "rejected":
        return {
            "row": row.number,
            "status": outcome.status,
            "reject_id": outcome.reject_id,
            "code": outcome.code,
            "error": outcome.reason,
            "fields": dict(outcome.errors),
        }
    return {
        "row": row.number,
        "status": outcome.status,
        "signal_id": outcome.signal_id,
        "contact_id": outcome.contact_id,
        "client_id": outcome.client_id,
        "identity_status": outcome.identity.status.value if outcome.identity is not None else None,
    }


def _spans(body: SpooledBody) -> list[Span]:
    """Where the rows are. Raises TooLarge for more than MAX_BULK_ROWS."""
    limit = settings.MAX_BULK_ROWS
    as_lines = body.content_type.partition(";")[0].strip().lower() != JsonRows.media_type
    spans = list(islice(find_rows(body.file, as_lines=as_lines), limit + 1))
    if len(spans) > limit:
        body.file.close()
        raise TooLarge(f"The body has more than {limit:,} rows. {_ADVICE}", max_rows=limit)
    return spans
