"""Vectors of atoms: searched in this process, filled in the background, forgotten with what is redacted.

Vectors are optional: without a backend, and whenever it fails, search is lexical and says so.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import structlog

from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import current_org_id, org_scope
from memory.embeddings import Embedder, EmbeddingFailed, chosen
from memory.rules import ASSISTANTS
from memory.search.questions import clean
from memory.sql import vectors as sql

if TYPE_CHECKING:
    from memory.embeddings.matrix import Matrix

# How long a search waits for a remote backend before it goes on without.
SEARCH_SECONDS = 2.0
# Atoms that are answered when a question is held against all of an organisation.
MOST_NEAREST = 100
MOST_QUESTION = 2_000
# What matrices take of a process's memory together; the one used last stays in any case.
MATRIX_BYTES = 256 * 1024 * 1024
_MOST_QUESTIONS = 1_000

_log = structlog.get_logger(__name__)


class _Remembered:
    """What this process remembers: questions as vectors, and a matrix for each organisation and model."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.questions: OrderedDict[tuple[str, bytes], list[float]] = OrderedDict()
        self.matrices: OrderedDict[tuple[int, str], tuple[int, Matrix]] = OrderedDict()


_remembered = _Remembered()


def prepare_question(*, org: Organization, question: str) -> bool:
    """Turn a question into its vector ahead of `rank_by_meaning`; whether there is one now.

    For interfaces, before they open the scope: a remote backend is asked outside of transactions only, for
    SEARCH_SECONDS at most. A failure is no error: the search is lexical then.
    """
    embedder = _embedder_for(org)
    return embedder is not None and _vector_of(question, embedder) is not None


def rank_by_meaning(
    org: Organization, question: str, atom_ids: Collection[int] | None = None
) -> dict[int, float] | None:
    """The cosine between the question and each of these atoms, or the nearest of all active ones, the nearest first.

    None where nothing can be said of meaning: no backend, the organisation has opted out, no atom has a vector yet, or
    the backend failed. Atoms without a vector of their present text, redacted ones and those not for everyone are left
    out, by a look at the database and not only by what this process remembers. Of a remote backend the question must
    have been prepared.
    """
    embedder = _embedder_for(org)
    vector = _vector_of(question, embedder) if embedder is not None else None
    if embedder is None or vector is None:
        return None
    with org_scope(org):
        matrix = _matrix(org.pk, embedder.model, width=len(vector))
        if not len(matrix):
            return None
        # More than are answered: some may have been archived since.
        found = matrix.top(vector, 2 * MOST_NEAREST) if atom_ids is None else matrix.of(vector, atom_ids)
        standing = sql.current(org_id=org.pk, model=embedder.model, atom_ids=list(found), only_active=atom_ids is None)
    kept = [(atom_id, cosine) for atom_id, cosine in found.items() if atom_id in standing]
    return dict(kept if atom_ids is not None else kept[:MOST_NEAREST])


def forget_vectors(*, org: Organization, atom_ids: Sequence[int]) -> int:
    """Delete the vectors of atoms, of every model; answers how many. For redactions, in their transaction.

    What processes remember of them is never answered again: the epoch that the redaction raises ends their matrices.
    """
    return sql.forget(org_id=org.pk, atom_ids=atom_ids) if atom_ids else 0


def forget_everything() -> None:
    """Remember no question and no matrix; the next search reads the database."""
    with _remembered.lock:
        _remembered.questions.clear()
        _remembered.matrices.clear()


def _embedder_for(org: Organization) -> Embedder | None:
    embedder = chosen().embedder
    return embedder if embedder is not None and ASSISTANTS.of(org).embeddings else None


def _vector_of(question: str, embedder: Embedder) -> list[float] | None:
    """The question as a vector, from memory where it was asked before."""
    text = clean(question[:MOST_QUESTION])
    # Only its hash is remembered: a question may quote what is redacted later.
    key = (embedder.model, hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest())
    with _remembered.lock:
        if (known := _remembered.questions.get(key)) is not None:
            _remembered.questions.move_to_end(key)
            return known
    if not text or (embedder.is_remote and current_org_id() is not None):
        return None
    try:
        (vector,) = embedder.embed([text], seconds=SEARCH_SECONDS)
    except EmbeddingFailed as error:
        _log.info("question_not_embedded", model=embedder.model, reason=str(error))
        return None
    with _remembered.lock:
        _remembered.questions[key] = vector
        while len(_remembered.questions) > _MOST_QUESTIONS:
            _remembered.questions.popitem(last=False)
    return vector


def _matrix(org_id: int, model: str, *, width: int) -> Matrix:
    """The vectors of an organisation as they are now: what is new is added, and after a redaction all is read again."""
    from memory.embeddings.matrix import Matrix, StoredVector

    # The stamp before the rows: what is read after it is as new as it or newer.
    epoch, newest = sql.stamp(org_id=org_id, model=model)
    with _remembered.lock:
        known_epoch, matrix = _remembered.matrices.get((org_id, model), (-1, Matrix.empty(width)))
    if known_epoch != epoch or matrix.width != width:
        matrix = Matrix.empty(width)
    if known_epoch == epoch and matrix.newest >= newest:
        with _remembered.lock:
            if (org_id, model) in _remembered.matrices:
                _remembered.matrices.move_to_end((org_id, model))
        return matrix
    rows = sql.stored(org_id=org_id, model=model, after=matrix.newest)
    matrix = matrix.with_more(StoredVector(*row) for row in rows)
    with _remembered.lock:
        _remembered.matrices[org_id, model] = (epoch, matrix)
        _remembered.matrices.move_to_end((org_id, model))
        while len(_remembered.matrices) > 1 and _size_of_all() > MATRIX_BYTES:
            _remembered.matrices.popitem(last=False)
    return matrix


def _size_of_all() -> int:
    return sum(matrix.size for _, matrix in _remembered.matrices.values())
