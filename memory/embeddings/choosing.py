"""Which backend the settings name; made once a process, with what keeps it from working."""

from __future__ import annotations

import importlib.util
import threading
from dataclasses import dataclass
from typing import Any

import structlog
from django.conf import settings

from memory.embeddings.types import Embedder, EmbeddingFailed

_log = structlog.get_logger(__name__)
_SETTINGS = ("URL", "KEY", "MODEL", "PATH", "SHA256")


@dataclass(frozen=True)
class Choice:
    """The backend, if there is one. `trouble` is a sentence when one is named and cannot be used."""

    embedder: Embedder | None
    trouble: str = ""


_lock = threading.Lock()
_made: tuple[tuple[str, ...], Choice] | None = None


def chosen() -> Choice:
    """The backend that the settings name. The first call loads a local model, which takes a second or so."""
    global _made
    named = tuple(str(getattr(settings, f"MEMORY_EMBEDDINGS_{name}", "")) for name in _SETTINGS)
    with _lock:
        if _made is None or _made[0] != named:
            _made = (named, _choose(*named))
        return _made[1]


def forget_choice() -> None:
    """Look at the settings, and at the files that they name, again."""
    global _made
    with _lock:
        _made = None


def _choose(url: str, key: str, model: str, path: str, sha256: str) -> Choice:
    if not url and not path:
        return Choice(None)
    try:
        return Choice(_make(url, key, model, path, sha256))
    except EmbeddingFailed as error:
        _log.warning("embeddings_unavailable", reason=str(error))
        return Choice(None, str(error))


def _make(url: str, key: str, model: str, path: str, sha256: str) -> Any:
    if url and path:
        raise EmbeddingFailed("MEMORY_EMBEDDINGS_URL and MEMORY_EMBEDDINGS_PATH name two backends; keep one of them.")
    if importlib.util.find_spec("numpy") is None:
        raise EmbeddingFailed("Vectors need numpy; install the extra `memory-embed`.")
    if url:
        from memory.embeddings.endpoint import Endpoint

        return Endpoint(url=url, key=key, model=model)
    from memory.embeddings.local import LocalModel

    return LocalModel.load(path, sha256=sha256)
