"""Places below the pipeline into which texts are copied: stored answers, outgoing emails, and errors of handlers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from django.db.models import F, Q

from flowledger.api.models import IdempotencyRecord
from flowledger.clients.erasure import Counts, Held, Mentions, Person, add_counts
from flowledger.clients.services.texts import TextEraser, Texts, candidate, escaped, redact_mentions, rows_with
from flowledger.outbox.models import HandlerFailure, OutgoingEmail, WorkEvent
from flowledger.outbox.redaction import MARKER
from flowledger.outbox.sql import operations
from flowledger.outbox.sql import texts as sql
from flowledger.tenancy.models import Organization

EMAILS = Texts(
    OutgoingEmail,
    own=lambda person: Q(to__overlap=list(person.emails)),
    left={"to": [MARKER], "reply_to": [], "subject": MARKER, "body": MARKER, "html": "", "last_error": MARKER},
    named_in=("to", "reply_to", "subject", "body", "html", "last_error"),
    spared={
        "key": "Names the row that asked for it.",
        "from_email": "The organisation's own.",
        "message_id": "As the provider reported it.",
    },
)
FAILURES = Texts(HandlerFailure, named_in=("error", "traceback"), spared={"handler": "The name of a handler."})
ANSWERS = Texts(
    IdempotencyRecord,
    spared={
        "body": "Rewritten by `redact_answers`.",
        **dict.fromkeys(("actor_key", "key", "fingerprint", "headers"), "Says who asked what, without texts."),
    },
)
EVENTS = Texts(
    WorkEvent,
    spared={
        **dict.fromkeys(("payload", "last_error", "discard_reason"), "Rewritten by `redact_events`."),
        **dict.fromkeys(
            ("event_name", "item_type", "dedupe_key", "correlation_id", "handled_by"), "The machine's own."
        ),
        **dict.fromkeys(("actor_label", "retried_by", "discarded_by"), "A member of the organisation, or a key."),
    },
)
TABLES = [EMAILS, FAILURES, ANSWERS, EVENTS]


def forget_copies(*, org: Organization, texts: Mentions, at: datetime, dry_run: bool) -> Counts:
    """Take texts out of answers, emails and errors. Emails that wait are sent without them."""
    touched: Counts = {}
    for table in (EMAILS, FAILURES):
        if dry_run:
            found = rows_with(table, org=org, mentions=texts)
        else:
            found = redact_mentions(table, org=org, mentions=texts, at=at)
        add_counts(touched, {table.label: len(found)})
    add_counts(touched, {ANSWERS.label: redact_answers(org=org, texts=texts, dry_run=dry_run)})
    return touched


def redact_answers(*, org: Organization, texts: Mentions, dry_run: bool) -> int:
    """Take texts out of the answers that are kept for repeated requests; status, headers and ids stay."""
    rows = IdempotencyRecord.objects.for_org(org).alias(said=escaped("body"))
    touched = 0
    for record in rows.filter(candidate(texts, F("said"), in_bytes=True)).order_by("pk") if texts else ():
        body = bytes(record.body)
        after = _without(body, texts)
        if after != body:
            touched += 1
            if not dry_run:
                IdempotencyRecord.objects.for_org(org).filter(pk=record.pk).update(body=after)
    return touched


def redact_errors(*, org: Organization, item_type: str, item_ids: Sequence[int], dry_run: bool) -> Counts:
    """Blank the errors with which handlers failed over items: they may quote any part of what an item says."""
    failed = sql.failed_events(org_id=org.pk, item_type=item_type, item_ids=item_ids, marker=MARKER)
    if failed and not dry_run:
        sql.empty_errors(org_id=org.pk, event_ids=failed, marker=MARKER)
    return {FAILURES.label: len(failed)} if failed else {}


def redact_events(*, org: Organization, texts: Mentions, at: datetime) -> int:
    """Take texts out of payloads, through their narrow door, and out of errors. Reads every event there is.

    Raises OperationalError while a month is being archived in which one of them lies.
    """
    found = sql.events_naming(org_id=org.pk, pattern=texts.candidates) if texts else []
    for event_id, payload in found:
        said = json.dumps(texts.without(json.loads(payload)))
        operations.redact(org_id=org.pk, event_id=event_id, payload=said, marker=MARKER, at=at)
        sql.empty_reason(org_id=org.pk, event_id=event_id, pattern=texts.candidates, marker=MARKER)
    return len(found)


class CopiesEraser:
    """What emails, stored answers and the outbox hold of a person."""

    def __init__(self) -> None:
        self._tables = TextEraser([EMAILS, FAILURES])

    def export(self, *, person: Person) -> Held:
        """Emails to or about them, and errors that name them; answers are copies of what is exported elsewhere."""
        return self._tables.export(person=person)

    def count(self, *, person: Person) -> Counts:
        """How many rows `erase` would touch."""
        touched = self._tables.count(person=person)
        return self._more(touched, person, at=None)

    def erase(self, *, person: Person, at: datetime) -> Counts:
        """Empty emails to them; one that still waits is not sent. Take their mentions out of everything else."""
        waiting = EMAILS.own_rows(person).filter(status=OutgoingEmail.Status.QUEUED)
        deleted, _ = waiting.delete()
        touched = self._tables.erase(person=person, at=at)
        add_counts(touched, {EMAILS.label: deleted})
        return self._more(touched, person, at=at)

    def _more(self, touched: Counts, person: Person, *, at: datetime | None) -> Counts:
        org, texts = person.org, person.mentions
        add_counts(touched, {ANSWERS.label: redact_answers(org=org, texts=texts, dry_run=at is None)})
        if at is None:
            found = sql.events_naming(org_id=org.pk, pattern=texts.candidates) if texts else []
            add_counts(touched, {EVENTS.label: len(found)})
        else:
            add_counts(touched, {EVENTS.label: redact_events(org=org, texts=texts, at=at)})
        return touched


def _without(body: bytes, texts: Mentions) -> bytes:
    """An answer without texts; one that is no JSON is kept as what can be read of it."""
    text = body.decode("utf-8", "replace")
    try:
        said = json.loads(text)
    except ValueError:
        after = texts.without(text)
        return body if after == text else str(after).encode()
    after = texts.without(said)
    return body if after == said else json.dumps(after, ensure_ascii=False, separators=(",", ":")).encode()
