"""Talking to `/api/signals/bulk`: bodies of many rows, and the lines of the answer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from tests.client import ApiClient

PATH = "/api/signals/bulk"
NDJSON = "application/x-ndjson"


def row(number: int, **changes: Any) -> dict[str, Any]:
    """One valid row; every number is another person of another company, whose names are not alike."""
    first, last, company = (_word(f"{part}{number}") for part in ("first", "last", "company"))
    return {
        "source_type": "api",
        "source_ref": f"crm-{number}",
        "snippet": f"Press {number} stops twice a day.",
        "contact_email": f"{first}.{last}@{company}.example",
        "contact_name": f"{first} {last}".title(),
        "company_name": company.title(),
        **changes,
    }


def _word(seed: str) -> str:
    """Ten letters that no other seed gives."""
    digest = hashlib.sha256(seed.encode()).digest()
    return "".join(chr(ord("a") + byte % 26) for byte in digest[:10])


def array(rows: Iterable[Any]) -> bytes:
    return json.dumps(list(rows)).encode()


def lines(rows: Iterable[Any]) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in rows)


def send(client: ApiClient, body: bytes, content_type: str = "application/json", **headers: str) -> Any:
    """The answer, read to its end where it is streamed; its lines are in `.results`."""
    answer = client.generic("POST", PATH, body, content_type, headers=headers or None)
    answer.results = []
    if answer.streaming:
        text = b"".join(answer.streaming_content).decode()
        answer.results = [json.loads(line) for line in text.splitlines()]
    return answer


def statuses(answer: Any) -> list[str]:
    """What became of each row, in the order of the rows."""
    assert [line["row"] for line in answer.results] == list(range(1, len(answer.results) + 1))
    return [line["status"] for line in answer.results]
