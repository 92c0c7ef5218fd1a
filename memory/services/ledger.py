"""The ledger of an organisation's memory: its secret, and the hashes and keys that are made with it."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import unicodedata

from flowledger.tenancy.models import Organization
from memory.models import MemoryLedger
from memory.sql import ledger as sql

SECRET_BYTES = 32


def ledger_of(org: Organization) -> MemoryLedger:
    """The ledger of an organisation, made when it is asked for first; of two who make it at once one does."""
    rows = MemoryLedger.objects.for_org(org)
    ledger: MemoryLedger | None = rows.order_by("pk").first()
    if ledger is None:
        rows.bulk_create([MemoryLedger(org=org, secret=os.urandom(SECRET_BYTES))], ignore_conflicts=True)
        ledger = rows.get()
    return ledger


def held_ledger(org: Organization) -> MemoryLedger:
    """The ledger, held against redaction to the end of the transaction; several writers hold it at once.

    Take it before reading any text that is to be written: what was read under it cannot be redacted meanwhile.
    """
    rows = MemoryLedger.objects.for_org(org)
    held: list[MemoryLedger] = list(rows.raw(sql.SHARE, {"org": org.pk}))
    if not held:
        ledger_of(org)
        held = list(rows.raw(sql.SHARE, {"org": org.pk}))
    return held[0]


# Signs that change what is said stay: 5 € is not 5 $, 10 % is not 10.
_BREAKS = re.compile(r"[^\w$€£¥₹%+<>=]+|_+")


def normalise(text: str) -> str:
    """A text as it is compared: compatibility forms, case, punctuation and space do not count."""
    return _BREAKS.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()


def hash_text(ledger: MemoryLedger, text: str) -> str:
    """An HMAC of the normalised text with the organisation's secret: equal for equal texts, and reveals nothing."""
    return _digest(ledger, "text", normalise(text))


def natural_key(
    ledger: MemoryLedger, *, event: str, source_type: str, source_id: int | None, kind: str, slot: str
) -> str:
    """The key under which an atom's source is written once: what is captured again has the same one."""
    source = "" if source_id is None else str(source_id)
    return _digest(ledger, "key", str(ledger.org_id), event, source_type, source, kind, slot)


def _digest(ledger: MemoryLedger, *parts: str) -> str:
    # Lengths before the parts: two lists of parts never make one message.
    message = "".join(f"{len(part)}:{part}" for part in parts)
    return hmac.new(bytes(ledger.secret), message.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
