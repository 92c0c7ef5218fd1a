"""Natural keys of signals whose sender was erased: still recognised when they come again, and readable by nobody.

A natural key may hold an address or a message's id. What stays of it is an HMAC with the installation's own key, so
that a second delivery of an erased message is a repeat and brings nothing back.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable

from django.conf import settings

# How a sealed key begins.
SEALED = "erased:"
_SHAPE = re.compile(r"erased:[0-9a-f]{64}")


def sealed(org_id: int, natural_key: str) -> str:
    """What an erasure leaves of a key; a sealed one stays as it is."""
    return natural_key if _SHAPE.fullmatch(natural_key) else _forms(org_id, natural_key)[0]


def with_sealed(org_id: int, natural_keys: Iterable[str]) -> dict[str, str]:
    """Every form under which the keys may be stored, sealed with the present secret or a former one → the key."""
    known: dict[str, str] = {}
    for key in natural_keys:
        known[key] = key
        known |= dict.fromkeys(_forms(org_id, key), key)
    return known


def _forms(org_id: int, natural_key: str) -> list[str]:
    message = f"signal key of {org_id}: {natural_key}".encode("utf-8", "surrogatepass")
    digests = [hmac.new(each.encode(), message, hashlib.sha256).hexdigest() for each in settings.ENCRYPTION_KEYS]
    return [f"{SEALED}{digest}" for digest in digests]
