"""Rankings are counted as the words of `scoring` say."""

from __future__ import annotations

import math

import pytest

from tests.bench.memory import scoring

TWO_LINES = [[1, 2], [7]]


class TestRecall:
    @pytest.mark.parametrize(
        ("ranking", "expected"),
        [
            ([], 0.0),
            ([9, 8], 0.0),
            ([2, 9], 0.5),
            # Two atoms of one line are one line.
            ([1, 2], 0.5),
            ([9, 7, 2], 1.0),
        ],
    )
    def test_is_the_share_of_the_lines_that_are_found(self, ranking: list[int], expected: float) -> None:
        assert scoring.recall(ranking, TWO_LINES) == expected

    def test_looks_at_the_first_ten_only(self) -> None:
        others = list(range(100, 109))
        assert scoring.recall([*others, 1], TWO_LINES) == 0.5
        assert scoring.recall([*others, 99, 1], TWO_LINES) == 0.0


class TestNdcg:
    def test_is_one_when_all_lines_come_first(self) -> None:
        assert scoring.ndcg([7, 2, 9], TWO_LINES) == pytest.approx(1.0)

    def test_counts_a_line_once_where_its_first_atom_stands(self) -> None:
        best = 1 + 1 / math.log2(3)
        assert scoring.ndcg([1, 2, 7], TWO_LINES) == pytest.approx((1 + 1 / math.log2(4)) / best)

    def test_is_nothing_without_a_hit(self) -> None:
        assert scoring.ndcg([9, 8], TWO_LINES) == 0.0


def test_a_line_that_no_atom_says_is_never_found() -> None:
    assert scoring.recall([1, 2, 3], [[], [3]]) == 0.5


def test_averages_count_a_question_without_an_answer_as_nought() -> None:
    evidence = {0: [[1]], 1: [[2]]}
    assert scoring.averages({0: [1]}, evidence, [0, 1]) == (0.5, 0.5)
