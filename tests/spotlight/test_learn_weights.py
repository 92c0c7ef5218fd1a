"""Weights from outcomes, without a database: what is found, what is proved, and when nothing is said."""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal
from itertools import product

import numpy as np
import pytest

from spotlight.evaluation.engine import compile_profiles
from spotlight.evaluation.types import Criterion, Fact, Profile, Scale
from spotlight.learning import ExtraMissing, LearningRefused, Verdict, fitting, learn, proving
from spotlight.learning.lessons import LEAST_DIFFERENT, rounded
from tests.spotlight.extras import hide
from tests.spotlight.generated import generated, wishes

EVEN = [10.0] * 5


def effect_of(lesson, number):
    return lesson.effects[number - 1]


class TestWhatIsFound:
    @pytest.mark.parametrize("seed", [1, 2, 3])
    def test_the_order_of_the_true_weights(self, seed):
        true = [0.2, 1.4, 0.9, 0.5]

        lesson = learn(wishes([10.0] * 4), generated(true, 4_000, seed=seed), held_back=0.3)

        assert sorted(range(4), key=lambda place: lesson.weights[place]) == [0, 3, 2, 1]

    def test_a_criterion_that_speaks_against_winning_gets_nothing_and_is_told(self):
        lesson = learn(wishes(EVEN), generated([1.0, 0.6, 0.4, -0.8, 0.3], 3_000, seed=4), held_back=0.3)

        harmful = effect_of(lesson, 4)
        assert lesson.weights[3] == harmful.weight_after == 0
        assert harmful.met_rate < harmful.unmet_rate
        assert "it speaks against winning: weight 10 → 0. Ask whether the opposite is wanted." in harmful.sentence
        assert lesson.sentence.endswith(" One criterion would lose its weight.")
        assert "speaks against" not in effect_of(lesson, 1).sentence

    def test_nothing_is_said_against_a_criterion_that_chance_explains(self):
        for seed in range(30, 36):
            lesson = learn(wishes([10.0, 10.0]), generated([1.0, 0.0], 300, seed=seed), held_back=0.3)
            assert "speaks against" not in effect_of(lesson, 2).sentence

    def test_weights_are_never_below_nothing(self):
        for seed in range(5):
            lesson = learn(wishes(EVEN), generated([0.5, -0.5, 0.2, -0.1, 0], 400, seed=seed), held_back=0.3)
            assert min(lesson.weights) >= 0

    @pytest.mark.parametrize(
        ("present", "step"), [([10, 20, 5, 5, 2], 0.1), ([3, 3, 3, 3, 3.5], 0.1), ([0.5] * 5, 0.01), ([0.1] * 5, 0.001)]
    )
    def test_they_sum_to_what_the_present_ones_do_in_round_steps(self, present, step):
        outcomes = generated([1.0, 0.6, 0.4, 0.8, 0.3], 1_000, seed=5)

        weights = learn(wishes(present), outcomes, held_back=0.3).weights

        assert sum(map(Decimal, map(str, weights))) == sum(map(Decimal, map(str, present)))
        assert all(Decimal(str(weight)) % Decimal(str(step)) == 0 for weight in weights)

    def test_no_weight_is_higher_than_a_profile_takes(self):
        outcomes = generated([1.5, -0.5, -0.5], 1_000, seed=6)

        assert learn(wishes([900.0, 900.0, 900.0]), outcomes, held_back=0.3).weights == (1_000.0, 0.0, 0.0)

    def test_a_criterion_in_which_hardly_any_outcome_differs_keeps_its_weight(self):
        outcomes = [
            replace(outcome, credits=(*outcome.credits, 0.0 if number < LEAST_DIFFERENT - 1 else 1.0))
            for number, outcome in enumerate(generated([1.0, 0.5], 1_000, seed=7))
        ]

        lesson = learn(wishes([10.0, 10.0, 7.0]), outcomes, held_back=0.3)

        assert lesson.weights[2] == 7
        assert lesson.weights[0] + lesson.weights[1] == pytest.approx(20)
        kept = effect_of(lesson, 3)
        assert (kept.is_kept, kept.odds_ratio) == (True, None)
        assert kept.sentence == (
            "Only 9 of the earlier outcomes differ in it, too few to learn from: it keeps its weight of 7."
        )

    def test_a_criterion_whose_credit_hardly_differs_keeps_its_weight(self):
        """Years before or after 2000 are all but met by partial credit: no stretching makes a lesson of that."""
        outcomes = [
            replace(outcome, credits=(*outcome.credits, 1.0 - number % 7 / 1_000))
            for number, outcome in enumerate(generated([1.0, 0.5], 1_000, seed=7))
        ]

        lesson = learn(wishes([10.0, 10.0, 7.0]), outcomes, held_back=0.3)

        assert (lesson.weights[2], effect_of(lesson, 3).is_kept) == (7, True)

    def test_nothing_depends_on_the_order_in_which_outcomes_come(self):
        outcomes = generated([1.0, 0.5, 0.2, 0.1, 0.4], 500, seed=8, unknown=0.2)
        # Half of them share their moment with another.
        outcomes = [replace(each, closed_at=outcomes[number // 2].closed_at) for number, each in enumerate(outcomes)]
        shuffled = random.Random(1).sample(outcomes, len(outcomes))

        assert learn(wishes(EVEN), shuffled, held_back=0.3) == learn(wishes(EVEN), outcomes, held_back=0.3)

    def test_is_the_ordinary_regression_where_no_weight_would_be_below_nothing(self):
        outcomes = fitting.table(generated([1.2, 0.8, 0.6, 0.9, 0.7], 3_000, seed=9))

        fitted = fitting.fit(outcomes, least_different=LEAST_DIFFERENT)

        assert fitted.coefficients == pytest.approx(fitted.free, abs=5e-3)
        assert fitted.coefficients == pytest.approx([1.2, 0.8, 0.6, 0.9, 0.7], abs=0.2)
        assert fitted.intercept == pytest.approx(-0.3, abs=0.2)

    def test_rounding_keeps_the_sum_whatever_the_shares(self):
        chance = random.Random(10)
        for _ in range(200):
            shares = [chance.random() for _ in range(chance.randrange(1, 16))]
            values = [50 * share / sum(shares) for share in shares]
            assert sum(map(Decimal, map(str, rounded(values)))) == 50
            assert all(abs(before - after) < 0.1 for before, after in zip(values, rounded(values), strict=True))


class TestProof:
    def test_the_latest_outcomes_take_no_part(self):
        outcomes = generated([1.0, 0.6, 0.4, 0.2, 0.3], 1_000, seed=11)
        turned = [*outcomes[:700], *(replace(each, is_won=not each.is_won) for each in outcomes[700:])]

        honest, deceived = (learn(wishes(EVEN), each, held_back=0.3) for each in (outcomes, turned))

        assert deceived.weights == honest.weights
        assert (honest.counts.fitted, honest.counts.held_back) == (700, 300)
        assert deceived.quality.auc_after == pytest.approx(1 - honest.quality.auc_after, abs=2e-4)

    @pytest.mark.parametrize(("seed", "unknown"), [*product([21, 22, 23], [0.0, 0.15])])
    def test_ranks_within_two_hundredths_of_a_regression_without_bounds(self, seed, unknown):
        true = [1.2, 0.9, 0.6, 0.3, 0.15, 0.0, 0.5, 0.4]

        quality = learn(wishes([10.0] * 8), generated(true, 4_000, seed=seed, unknown=unknown), held_back=0.3).quality

        assert quality.auc_after == pytest.approx(quality.unconstrained_auc, abs=0.02)
        assert quality.auc_after > quality.auc_before
        assert quality.verdict is Verdict.BETTER

    def test_is_of_the_very_scores_that_the_proposed_weights_give(self):
        """The engine scores the facts, the proof scores the credits: the same number for every item."""
        chance = random.Random(12)
        weights = (12.5, 0.0, 7.5, 30.0)
        criteria = tuple(
            Criterion(number, f"field_{number}", "", "number", (), (), ">=", 100, Decimal(str(weight)))
            for number, weight in enumerate(weights, start=1)
        )
        engine = compile_profiles([Profile(1, "Any", 1, criteria)], Scale())
        facts = [
            {f"field_{n}": Fact(chance.randrange(20, 150), "signal") for n in range(1, 5) if chance.random() < 0.7}
            for _ in range(300)
        ]
        evaluations = [engine.evaluate(each)[0] for each in facts]
        earned = np.array([[np.nan if c.credit is None else c.credit for c in e.components] for e in evaluations])

        found = proving.scores(weights, earned)

        assert found == pytest.approx([float(each.match_score) for each in evaluations], abs=1.01e-4)
        assert len(set(found)) > 50

    def test_says_how_often_a_won_one_scores_above_a_lost_one(self):
        score, won = np.array([0.9, 0.7, 0.7, 0.4, 0.2]), np.array([True, True, False, True, False])
        pairs = [(1 if s > t else 0.5 if s == t else 0) for s, t in product(score[won], score[~won])]

        assert proving.auc(score, won) == pytest.approx(sum(pairs) / len(pairs))
        assert proving.auc(-score, won) == pytest.approx(1 - sum(pairs) / len(pairs))

    def test_an_equal_ranking_is_no_difference(self):
        outcomes = fitting.table(generated([1.0, 0.5], 300, seed=13))
        score = proving.scores([1, 1], outcomes.credits)

        compared = proving.compare(score, score / 2, outcomes.won)

        assert (compared.auc_before, compared.low, compared.high) == (compared.auc_after, 0, 0)

    def test_lift_shares_equal_scores_evenly(self):
        won = np.array([True, False, False, False, True, False, False, False, False, False])

        assert proving.lift(np.arange(10, 0, -1), won, 0.1) == pytest.approx(1 / 0.2)
        assert proving.lift(np.ones(10), won, 0.1) == pytest.approx(1)
        assert proving.lift(np.arange(10, 0, -1), won, 0.5) == pytest.approx(0.4 / 0.2)
        assert proving.lift(np.arange(10, 0, -1), won, 1) == pytest.approx(1)

    def test_calibration_counts_every_outcome_once(self):
        lesson = learn(wishes(EVEN), generated([1.0, 0.6, 0.4, 0.2, 0.3], 1_000, seed=14), held_back=0.3)

        assert sum(each.outcomes for each in lesson.calibration) == 300
        seen = sum(each.observed * each.outcomes for each in lesson.calibration)
        assert seen == pytest.approx(lesson.counts.held_back_won, abs=0.1)
        assert [each.predicted for each in lesson.calibration] == sorted(each.predicted for each in lesson.calibration)

    def test_says_when_the_outcomes_do_not_show_a_difference(self):
        quality = learn(wishes([12.0, 8.0]), generated([0.6, 0.4], 400, seed=15), held_back=0.3)

        assert quality.quality.verdict is Verdict.UNCLEAR
        assert quality.sentence.startswith(
            "The outcomes that were held back do not show whether the learned weights rank better"
        )

    def test_effects_count_every_outcome(self):
        outcomes = generated([1.0, 0.5], 500, seed=16, unknown=0.3)

        effect = effect_of(learn(wishes([10.0, 10.0]), outcomes, held_back=0.3), 1)

        met = [each.is_won for each in outcomes if each.credits[0] is not None and each.credits[0] > 0.5]
        assert (effect.met, effect.met_rate) == (len(met), round(sum(met) / len(met), 4))
        assert effect.unknown == sum(each.credits[0] is None for each in outcomes)
        assert effect.met + effect.unmet + effect.unknown == 500


class TestNothingToSay:
    @pytest.mark.parametrize(
        ("part", "words"),
        [(slice(0, 140), "140 earlier"), (slice(140, 200), "60 latest"), (slice(0, 200), "140 earlier")],
    )
    @pytest.mark.parametrize(("is_won", "what"), [(True, "won"), (False, "lost")])
    def test_where_all_outcomes_of_a_part_are_alike(self, part, words, is_won, what):
        outcomes = generated([1.0, 0.5], 200, seed=17)
        outcomes[part] = [replace(each, is_won=is_won) for each in outcomes[part]]

        with pytest.raises(LearningRefused, match=f"All of the {words} outcomes were {what}"):
            learn(wishes([10.0, 10.0]), outcomes, held_back=0.3)

    def test_where_no_criterion_tells_won_from_lost(self):
        outcomes = generated([-1.5, -1.0], 1_000, seed=18)

        with pytest.raises(LearningRefused, match="None of the criteria tells won pursuits from lost ones"):
            learn(wishes([10.0, 10.0]), outcomes, held_back=0.3)

    def test_where_the_criteria_that_weigh_something_do_not_differ(self):
        outcomes = [replace(each, credits=(1.0, *each.credits)) for each in generated([1.0], 300, seed=19)]

        with pytest.raises(LearningRefused, match="Too few outcomes differ in the criteria that weigh something"):
            learn(wishes([10.0, 0.0]), outcomes, held_back=0.3)

    @pytest.mark.parametrize("missing", ["sklearn", "scipy", "numpy"])
    def test_without_the_extra(self, monkeypatch, missing):
        hide(monkeypatch, missing)

        with pytest.raises(ExtraMissing, match=r"needs scikit-learn, which is not installed.*'\.\[learning\]'"):
            learn(wishes([10.0]), generated([1.0], 300, seed=20), held_back=0.3)
