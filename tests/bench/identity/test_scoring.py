"""Right and wrong answers are counted as the words of `scoring` say."""

from __future__ import annotations

import pytest

from tests.bench.identity import scoring
from tests.bench.identity.scoring import Count

TRUTH = {1: 10, 2: 20, 3: 30, 4: None, 5: None}


def counted(answers: dict[int, int | None]) -> tuple[int, int, int, int]:
    count = Count()
    for record, truth in TRUTH.items():
        count.add(truth=truth, answer=answers.get(record))
    return (count.true_positives, count.false_positives, count.false_negatives, count.true_negatives)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({}, (0, 0, 3, 2)),
        ({1: 10, 2: 20, 3: 30}, (3, 0, 0, 2)),
        # Another than the true one is wrong twice: it is named, and the true one is not.
        ({1: 11}, (0, 1, 3, 2)),
        # Somebody where there is nobody.
        ({1: 10, 4: 40}, (1, 1, 2, 1)),
    ],
)
def test_counts(answers, expected):
    assert counted(answers) == expected


def test_shares():
    count = Count(true_positives=6, false_positives=2, false_negatives=4)
    assert (count.precision, count.recall) == (0.75, 0.6)
    assert count.f1 == pytest.approx(2 * 0.75 * 0.6 / 1.35)
    assert (Count().precision, Count().recall) == (1.0, 1.0)
    assert Count(false_positives=1, false_negatives=1).f1 == 0.0


def test_thresholds_count_as_the_answers_from_each_score_on_do():
    scored = {1: (10, 5.0), 2: (21, 4.0), 3: (30, 4.0), 4: (40, -1.0)}
    found = scoring.thresholds(TRUTH, scored)
    assert [one.score for one in found] == [5.0, 4.0, -1.0]
    for one in found:
        answers = {record: row for record, (row, score) in scored.items() if score >= one.score}
        count = one.count
        assert counted(answers) == (
            count.true_positives,
            count.false_positives,
            count.false_negatives,
            count.true_negatives,
        )
    assert scoring.best(found, lambda count: count.recall).score == 4.0
    precise = scoring.at_precision(found, 0.9)
    assert precise is not None
    assert precise.score == 5.0
    assert scoring.at_precision(found[1:], 0.9) is None
