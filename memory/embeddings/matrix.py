"""Vectors of many atoms as bytes: eight bits a number and one scale, searched exactly."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Rows that are made floating-point numbers at a time; they stay in the processor's cache.
_BLOCK = 1024


class Packed(NamedTuple):
    """A vector of length one as it is stored: `numbers` × `scale`."""

    scale: float
    numbers: bytes


class StoredVector(NamedTuple):
    """A row of the table."""

    pk: int
    atom_id: int
    scale: float
    numbers: bytes


def pack(vector: Sequence[float]) -> Packed | None:
    """The vector with length one in eight bits a number; None for one without a direction."""
    given = np.asarray(vector, dtype=np.float64)
    length = float(np.linalg.norm(given))
    if not np.isfinite(length) or length < 1e-12:
        return None
    unit = given / length
    scale = float(np.abs(unit).max()) / 127
    return Packed(scale, np.rint(unit / scale).astype(np.int8).tobytes())


class Matrix:
    """The vectors of one model, as far as the row with the key `newest`; never changed, so threads may share it."""

    def __init__(
        self, atom_ids: NDArray[np.int64], scales: NDArray[np.float32], rows: NDArray[np.int8], *, newest: int
    ) -> None:
        self._atom_ids, self._scales, self._rows, self.newest = atom_ids, scales, rows, newest

    @classmethod
    def empty(cls, width: int) -> Matrix:
        """Without any vector."""
        return cls(
            np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32), np.empty((0, width), dtype=np.int8), newest=0
        )

    def __len__(self) -> int:
        return len(self._atom_ids)

    @property
    def width(self) -> int:
        """How many numbers a vector has."""
        return int(self._rows.shape[1])

    @property
    def size(self) -> int:
        """In bytes."""
        return self._atom_ids.nbytes + self._scales.nbytes + self._rows.nbytes

    def with_more(self, stored: Iterable[StoredVector]) -> Matrix:
        """These vectors, too; they take the place of older ones of the same atoms. Others than of this width are left.

        Each atom has one vector of a model, so `stored` names none twice.
        """
        new = [each for each in stored if each.numbers]
        fitting = [each for each in new if len(each.numbers) == self.width]
        newest = max([self.newest, *(each.pk for each in new)])
        if not fitting:
            return Matrix(self._atom_ids, self._scales, self._rows, newest=newest)
        added = np.fromiter((each.atom_id for each in fitting), dtype=np.int64, count=len(fitting))
        kept = ~np.isin(self._atom_ids, added)
        atom_ids = np.concatenate([self._atom_ids[kept], added])
        scales = np.concatenate([self._scales[kept], np.array([each.scale for each in fitting], dtype=np.float32)])
        numbers = np.frombuffer(b"".join(each.numbers for each in fitting), dtype=np.int8).reshape(-1, self.width)
        rows = np.concatenate([self._rows[kept], numbers])
        order = np.argsort(atom_ids, kind="stable")
        return Matrix(atom_ids[order], scales[order], rows[order], newest=newest)

    def of(self, question: Sequence[float], atom_ids: Iterable[int]) -> dict[int, float]:
        """The cosine of each of these atoms with the question; atoms without a vector are left out."""
        wanted = np.array(sorted(set(atom_ids)), dtype=np.int64)
        places = np.flatnonzero(np.isin(self._atom_ids, wanted, assume_unique=True)).astype(np.int64)
        return self._named(places, self._cosines(question, places))

    def top(self, question: Sequence[float], most: int) -> dict[int, float]:
        """The atoms nearest to the question with their cosines, the nearest first."""
        cosines = self._cosines(question, None)
        most = min(most, len(cosines))
        if not most:
            return {}
        nearest = np.argpartition(-cosines, most - 1)[:most]
        nearest = nearest[np.argsort(-cosines[nearest], kind="stable")]
        return self._named(nearest, cosines[nearest])

    def _cosines(self, question: Sequence[float], places: NDArray[np.int64] | None) -> NDArray[np.float32]:
        asked = np.asarray(question, dtype=np.float32)
        asked = asked / max(float(np.linalg.norm(asked)), 1e-12)
        rows = self._rows if places is None else self._rows[places]
        scales = self._scales if places is None else self._scales[places]
        found = np.empty(len(rows), dtype=np.float32)
        for start in range(0, len(rows), _BLOCK):
            block = rows[start : start + _BLOCK]
            found[start : start + len(block)] = block.astype(np.float32) @ asked
        cosines: NDArray[np.float32] = np.clip(found * scales, -1, 1)
        return cosines

    def _named(self, places: NDArray[np.int64], cosines: NDArray[np.float32]) -> dict[int, float]:
        return {int(atom_id): float(x) for atom_id, x in zip(self._atom_ids[places], cosines, strict=True)}
