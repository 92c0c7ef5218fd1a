"""Idempotency-Key: one effect and one answer per key, however often and however concurrently it is sent.

The key is claimed by an insert in the request's own transaction. A concurrent duplicate waits on the unique index
until the first commits, then finds its answer; if the first rolls back (its answer was a failure), the duplicate
goes ahead. The stored answer commits or vanishes together with what the request did.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import OperationalError, connection
from django.http import HttpResponse
from rest_framework.request import Request

from flowledger.api.models import IdempotencyRecord
from flowledger.errors import Conflict, InvalidInput

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
KEPT_HEADERS = ("Content-Type", "ETag", "Location")
KEY_FORM = re.compile(r"[\x21-\x7e]{1,255}")

# Takes over a record that is past its time: nobody may rely on it any more. `created_at` is the transaction's
# time on the server, so hosts need not agree on the clock.
CLAIM = """
    INSERT INTO api_idempotencyrecord AS kept
        (org_id, actor_key, key, fingerprint, status, headers, body, row_version, created_at, updated_at)
    VALUES (%(org)s, %(actor)s, %(key)s, %(fingerprint)s, 0, '{}', '', 1, now(), now())
    ON CONFLICT (org_id, actor_key, key) DO UPDATE
        SET fingerprint = EXCLUDED.fingerprint, status = 0, headers = '{}', body = '',
            row_version = kept.row_version + 1, created_at = now(), updated_at = now()
        WHERE kept.created_at < now() - make_interval(hours => %(hours)s)
    RETURNING id
"""


@dataclass(frozen=True)
class Claim:
    """The right to answer under a key; or, with `answer` set, the answer that was given."""

    record_id: int | None
    answer: HttpResponse | None = None


def key_of(request: Request) -> str | None:
    """The request's key, if it has one. Raises InvalidInput for a malformed one."""
    key: str | None = request.headers.get(HEADER)
    if key is not None and not KEY_FORM.fullmatch(key):
        raise InvalidInput(
            f"{HEADER} must be 1 to 255 visible ASCII characters.", fields={HEADER: ["This is no usable key."]}
        )
    return key


def reserve(key: str, *, org_id: int, actor_key: str, fingerprint: str) -> None:
    """Bind a key to one request whose work commits in parts; no answer is kept, doing it again must give the same.

    Call it in a transaction of its own. Raises Conflict when the key was used for another request.
    """
    if _insert(org_id=org_id, actor_key=actor_key, key=key, fingerprint=fingerprint) is None:
        _require_same(IdempotencyRecord.objects.for_org(org_id).get(actor_key=actor_key, key=key), fingerprint)


def claim(request: Request, *, org_id: int, actor_key: str) -> Claim | None:
    """Claim the request's key, or find what it was answered before; None for a request without a key.

    Raises InvalidInput for a malformed key, Conflict when the key was used for another request or the first
    is still running after IDEMPOTENCY_WAIT_SECONDS.
    """
    key = key_of(request)
    if key is None:
        return None
    print_of_this = fingerprint(request)
    record_id = _insert(org_id=org_id, actor_key=actor_key, key=key, fingerprint=print_of_this)
    if record_id is not None:
        return Claim(record_id)
    record = IdempotencyRecord.objects.for_org(org_id).get(actor_key=actor_key, key=key)
    _require_same(record, print_of_this)
    answer = HttpResponse(bytes(record.body), status=record.status, headers={**record.headers, REPLAYED: "true"})
    return Claim(None, answer)


def keep(claimed: Claim, response: HttpResponse, *, org_id: int) -> None:
    """Store the answer beside its effects, in the same transaction."""
    headers = {name: response[name] for name in KEPT_HEADERS if name in response}
    IdempotencyRecord.objects.for_org(org_id).filter(pk=claimed.record_id).update(
        status=response.status_code, headers=headers, body=response.content
    )


def fingerprint(request: Request) -> str:
    """SHA-256 over method, address and content; JSON counts by meaning, uploads by names and bytes.

    Raises what parsing raises: a body that cannot be read claims no key, because nothing will be done with it.
    """
    digest = hashlib.sha256(f"{request.method} {request.get_full_path()}\n".encode())
    data: Any = request.data
    if request.FILES:
        for name, values in sorted(request.POST.lists()):
            digest.update(json.dumps([name, values]).encode())
        for name, upload in sorted(request.FILES.items()):
            digest.update(json.dumps([name, upload.name, upload.size]).encode())
            for chunk in upload.chunks():
                digest.update(chunk)
            upload.seek(0)
    else:
        digest.update(json.dumps(data, sort_keys=True, cls=DjangoJSONEncoder).encode())
    return digest.hexdigest()


def _require_same(record: IdempotencyRecord, fingerprint: str) -> None:
    if record.fingerprint != fingerprint:
        raise Conflict(f"This {HEADER} was used for another request; use a new key.")


def _insert(*, org_id: int, actor_key: str, key: str, fingerprint: str) -> int | None:
    milliseconds = int(settings.IDEMPOTENCY_WAIT_SECONDS * 1000)
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{milliseconds}ms"])
        try:
            cursor.execute(
                CLAIM,
                {
                    "org": org_id,
                    "actor": actor_key,
                    "key": key,
                    "fingerprint": fingerprint,
                    "hours": settings.IDEMPOTENCY_KEEP_HOURS,
                },
            )
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", "") == "55P03":
                raise StillRunning(
                    f"The first request with this {HEADER} is still running; try again in a moment."
                ) from None
            raise
        row = cursor.fetchone()
    return row[0] if row else None


class StillRunning(Conflict):
    """The wait for the first request ended the transaction; nothing more can be read or kept in it."""

    undo = True
