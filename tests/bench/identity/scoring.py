"""Counting right and wrong answers, the same way for every system.

A pair is a record and a contact (or client) of the base. Every record is answered with at most one contact and one
client of the base: the best that a system is ready to name. The true pairs are those of the labels. An answer that is
the true one counts as true positive; another one as false positive, and as false negative too when the base has the
true one; no answer is a false negative when the base has the true one, else a true negative. What a system makes anew
for a record, or finds among the records before it, is no answer: it is nobody of the base.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.bench.identity.labelled import Labelled, Record

# By record: whom it names, or nobody.
Answers = Mapping[int, int | None]


@dataclass
class Count:
    """True and false answers over some records."""

    true_positives: int = 0
    false_positives: int = 0
    false_negatives: int = 0
    true_negatives: int = 0

    def add(self, *, truth: int | None, answer: int | None) -> None:
        if answer is None and truth is None:
            self.true_negatives += 1
        elif answer == truth:
            self.true_positives += 1
        else:
            self.false_positives += answer is not None
            self.false_negatives += truth is not None

    @property
    def precision(self) -> float:
        """1 where nothing was answered."""
        answered = self.true_positives + self.false_positives
        return self.true_positives / answered if answered else 1.0

    @property
    def recall(self) -> float:
        """1 where nothing was to be found."""
        wanted = self.true_positives + self.false_negatives
        return self.true_positives / wanted if wanted else 1.0

    @property
    def f1(self) -> float:
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


@dataclass
class Confusion:
    """The count over all records, by kind of record and by corruption; a record is in the rows of all it suffered."""

    all: Count = field(default_factory=Count)
    by_kind: dict[str, Count] = field(default_factory=dict)
    by_corruption: dict[str, Count] = field(default_factory=dict)

    def table(self, title: str) -> str:
        lines = [f"{title:<28}      tp     fp     fn     tn   precision  recall      f1"]
        rows = [("all", self.all), *sorted(self.by_kind.items()), *sorted(self.by_corruption.items())]
        for name, count in rows:
            lines.append(
                f"{name:<28} {count.true_positives:>7} {count.false_positives:>6} {count.false_negatives:>6}"
                f" {count.true_negatives:>6}   {count.precision:>9.4f} {count.recall:>7.4f} {count.f1:>7.4f}"
            )
        return "\n".join(lines)


def truth_of_contacts(labelled: Labelled) -> dict[int, int | None]:
    known = labelled.known_people
    return {record.id: record.person if record.person in known else None for record in labelled.records}


def truth_of_clients(labelled: Labelled) -> dict[int, int | None]:
    known = labelled.known_companies
    return {record.id: record.company if record.company in known else None for record in labelled.records}


def confusion(records: Iterable[Record], truth: Answers, answers: Answers) -> Confusion:
    """Count every record; one that is missing among the answers was not answered."""
    found = Confusion()
    for record in records:
        rows = [found.all, found.by_kind.setdefault(f"kind {record.kind}", Count())]
        names = record.corruptions or ("clean",)
        rows += [found.by_corruption.setdefault(str(name), Count()) for name in names]
        for row in rows:
            row.add(truth=truth[record.id], answer=answers.get(record.id))
    return found


@dataclass(frozen=True)
class Threshold:
    """What a system that gives every answer a score reaches from one score on."""

    score: float
    count: Count


def thresholds(truth: Answers, scored: Mapping[int, tuple[int, float]]) -> list[Threshold]:
    """The counts at every score that occurs, highest first, in one pass."""
    wanted = sum(1 for one in truth.values() if one is not None)
    unknown = len(truth) - wanted
    found: list[Threshold] = []
    right = wrong = wrong_of_unknown = 0
    ordered = sorted(scored.items(), key=lambda item: -item[1][1])
    for place, (record, (answer, score)) in enumerate(ordered):
        right += answer == truth[record]
        wrong += answer != truth[record]
        wrong_of_unknown += truth[record] is None
        if place + 1 < len(ordered) and ordered[place + 1][1][1] == score:
            continue
        found.append(Threshold(score, Count(right, wrong, wanted - right, unknown - wrong_of_unknown)))
    return found


def best(found: Sequence[Threshold], of: Callable[[Count], float]) -> Threshold:
    """The threshold with the highest value, the higher score among equals."""
    return max(found, key=lambda one: (of(one.count), one.score))


def at_precision(found: Sequence[Threshold], least: float) -> Threshold | None:
    """The threshold with the highest recall among those that are at least so precise."""
    precise = [one for one in found if one.count.precision >= least]
    return max(precise, key=lambda one: one.count.recall) if precise else None
