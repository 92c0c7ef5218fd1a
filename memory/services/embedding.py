"""Making the vectors that are missing: texts are read, embedded outside of transactions, and stored if they stand."""

from __future__ import annotations

from dataclasses import dataclass

from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope
from memory.embeddings import Embedder, TextsRefused
from memory.rules import ASSISTANTS
from memory.services.ledger import held_ledger, ledger_of
from memory.sql import vectors as sql

# Texts that are embedded together, and atoms that one look goes through to find them.
BATCH = 64
WINDOW = 2_000
# How long a job waits for a remote backend.
JOB_SECONDS = 30.0
# The rest of a longer text is not read by any backend anyway.
MOST_CHARACTERS = 8_000
# Vectors of a model that is not used any more, deleted at a time.
DROPPED = 5_000
NEWEST = 2**63 - 1
# What a backend that works does not refuse.
_PROBE = "A customer asked for an offer."


@dataclass(frozen=True)
class Embedded:
    """What one batch did: texts without a vector that were found, vectors that were stored, and where to go on.

    `go_on_below` is None when there are no older atoms.
    """

    found: int
    stored: int
    go_on_below: int | None


def embed_atoms(*, org: Organization, embedder: Embedder, below: int = NEWEST, batch: int = BATCH) -> Embedded:
    """Make the vectors of some active atoms of everyone's that have none of their present text, the newest first.

    Looks at the atoms with keys less than `below`. What was redacted while the backend worked is not stored: the epoch
    of the texts must still be that of the ledger. A text that the backend refuses is not asked for again. Call it
    outside of transactions. Raises EmbeddingFailed, and stores nothing then.
    """
    if not ASSISTANTS.of(org).embeddings:
        return Embedded(0, 0, None)
    with org_scope(org):
        # The epoch before the texts, so that no redaction comes between them unseen.
        epoch = ledger_of(org).epoch
        texts, go_on_below = sql.wanted_texts(
            org_id=org.pk, model=embedder.model, before=below, window=WINDOW, most=batch
        )
    if not texts:
        return Embedded(0, 0, go_on_below)
    vectors = _embedded(embedder, [text.content[:MOST_CHARACTERS] for text in texts])
    new = [_packed(text, vector) for text, vector in zip(texts, vectors, strict=True)]
    with org_scope(org):
        sql.take_turns(org_id=org.pk)
        if held_ledger(org).epoch != epoch:
            return Embedded(len(texts), 0, below)
        stored = sql.store(org_id=org.pk, model=embedder.model, vectors=new)
    return Embedded(len(texts), stored, go_on_below)


def drop_former_models(*, org: Organization, embedder: Embedder) -> int:
    """Delete some vectors of models that are not used any more; answers how many."""
    with org_scope(org):
        return sql.drop_other_models(org_id=org.pk, model=embedder.model, most=DROPPED)


def _embedded(embedder: Embedder, texts: list[str]) -> list[list[float] | None]:
    """A vector for each text; None for those that the backend refuses while it takes others.

    Raises EmbeddingFailed: a backend that refuses everything is not set up right.
    """
    try:
        return list(embedder.embed(texts, seconds=JOB_SECONDS))
    except TextsRefused:
        pass
    found: list[list[float] | None] = []
    for text in texts:
        try:
            found += embedder.embed([text], seconds=JOB_SECONDS)
        except TextsRefused:
            found.append(None)
    if None in found:
        embedder.embed([_PROBE], seconds=JOB_SECONDS)
    return found


def _packed(text: sql.WantedText, vector: list[float] | None) -> sql.NewVector:
    from memory.embeddings.matrix import pack

    packed = pack(vector) if vector is not None else None
    if packed is None:
        return sql.NewVector(text.atom_id, text.content_hash, 0.0, b"")
    return sql.NewVector(text.atom_id, text.content_hash, packed.scale, packed.numbers)
