"""Records as what the channels take: fields of a signal, lines of NDJSON, rows of a CSV file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from flowledger.clients import normalising
from tests.bench.identity.labelled import Record

_COLUMNS = ("source_ref", "snippet", "contact_name", "contact_email", "contact_phone", "company_name", "company_domain")


def fields_of(record: Record, *, batch: str) -> dict[str, Any]:
    """A signal with a natural key of its own; an address that is none is left out, as a form would not send it."""
    return {
        "source_type": "web_form",
        "source_ref": f"{batch}-{record.id}",
        "snippet": f"We ask for an offer about topic {record.id % 50} before the end of the quarter.",
        "contact_name": " ".join(record.name.split()),
        "contact_email": normalising.email_address(record.email) or "",
        "contact_phone": record.phone,
        "company_name": record.company_name,
        "company_domain": record.company_domain,
        "attributes": {"country": record.country, "job_title": record.job_title},
    }


def ndjson(records: Sequence[Record], *, batch: str) -> bytes:
    return b"".join(json.dumps(fields_of(record, batch=batch)).encode() + b"\n" for record in records)


def csv_file(records: Sequence[Record], *, batch: str) -> bytes:
    """Headed by the names of the fields, so that the columns are mapped without a hand."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(fields_of(record, batch=batch) for record in records)
    return text.getvalue().encode()
