"""Secrets at rest: texts that only this installation's keys can read (Fernet: AES-128-CBC with HMAC-SHA256)."""

from __future__ import annotations

import base64
from functools import cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings


class SecretUnreadable(Exception):
    """A stored secret was written with a key that is not among ENCRYPTION_KEYS any more."""


@cache
def _box(keys: tuple[str, ...]) -> MultiFernet:
    """The first key encrypts, all decrypt. Any text is a key: HKDF (RFC 5869) makes 256 bits of it."""
    boxes = []
    for key in keys:
        derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"flowledger secrets at rest").derive(
            key.encode()
        )
        boxes.append(Fernet(base64.urlsafe_b64encode(derived)))
    return MultiFernet(boxes)


def encrypt(text: str) -> str:
    """The text as it is stored, different each time; blank stays blank."""
    if not text:
        return ""
    return _box(tuple(settings.ENCRYPTION_KEYS)).encrypt(text.encode()).decode()


def decrypt(stored: str) -> str:
    """What `encrypt` was given. Raises SecretUnreadable when no key opens it."""
    if not stored:
        return ""
    try:
        return _box(tuple(settings.ENCRYPTION_KEYS)).decrypt(stored.encode()).decode()
    except InvalidToken:
        raise SecretUnreadable(
            "A stored secret cannot be read with the present ENCRYPTION_KEYS; add the key that it was written with, or "
            "enter the secret again."
        ) from None
