"""What holds for every score, whatever the profile and the facts: proved on what hypothesis draws."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from spotlight.evaluation.changing import changes_of, values_that_meet
from spotlight.evaluation.engine import compile_profiles
from spotlight.evaluation.explaining import explain
from spotlight.evaluation.types import RECOMMENDATIONS, Criterion, Evaluation, Fact, Profile
from tests.spotlight.evaluations import (
    ANY_JSON,
    FIELDS,
    SCALE,
    criteria,
    criterion,
    evaluate,
    facts,
    profile,
    profiles,
)

MANY = settings(max_examples=60, deadline=None)


def rank(evaluation: Evaluation) -> int:
    """0 for the worst recommendation."""
    return -RECOMMENDATIONS.index(evaluation.recommendation)


def with_criteria(made: Profile, found: list[Criterion]) -> Profile:
    """The same profile with these criteria, under their own numbers."""
    return replace(made, criteria=tuple(found))


class TestScore:
    @MANY
    @given(profiles(), facts(), st.randoms(use_true_random=False))
    def test_does_not_depend_on_the_order_of_the_criteria(self, made: Profile, known: dict[str, Any], dice: Any):
        shuffled = list(made.criteria)
        dice.shuffle(shuffled)

        one, other = evaluate(made, known), evaluate(with_criteria(made, shuffled), known)

        assert one[:7] == other[:7]
        assert sorted(one.packed(), key=lambda each: each[0]) == sorted(other.packed(), key=lambda each: each[0])

    @MANY
    @given(profiles(), facts(), st.sampled_from([Decimal("0.5"), Decimal(2), Decimal(17)]))
    def test_does_not_depend_on_the_scale_of_the_weights(self, made: Profile, known: dict[str, Any], times: Decimal):
        # Weights have three decimals, so halves are taken of even ones.
        even = with_criteria(made, [replace(each, weight=each.weight * 2) for each in made.criteria])
        scaled = with_criteria(made, [replace(each, weight=each.weight * times) for each in even.criteria])

        assert evaluate(even, known) == evaluate(scaled, known)

    @MANY
    @given(profiles(), facts(), criteria(field_names=("growth",)))
    def test_is_never_lowered_by_one_more_criterion_that_is_met(
        self, made: Profile, known: dict[str, Any], more: Criterion
    ):
        value = next(values_that_meet(more), None)
        assume(value is not None)
        rest = [each for each in made.criteria if each.field_name != "growth"]
        told = {**known, "growth": value}

        before = evaluate(with_criteria(made, rest), told) if rest else None
        after = evaluate(with_criteria(made, [*rest, replace(more, criterion_id=99)]), told)

        assert after.components[-1].credit == 1
        if before is not None:
            assert after.match_score >= before.match_score
            assert rank(after) >= rank(before)

    @MANY
    @given(profiles(), facts(), st.sampled_from(sorted(FIELDS)))
    def test_of_an_unknown_field_is_that_of_the_profile_without_it(
        self, made: Profile, known: dict[str, Any], field_name: str
    ):
        without = [each for each in made.criteria if each.field_name != field_name]
        assume(without)
        unknown = {name: value for name, value in known.items() if name != field_name}

        whole = evaluate(made, unknown)

        assert whole.match_score == evaluate(with_criteria(made, without), unknown).match_score
        told = [each.credit is not None for each in whole.components]
        weights = [each.weight for each in made.criteria]
        share = sum(weight for weight, is_known in zip(weights, told, strict=True) if is_known) / sum(weights)
        assert whole.coverage == share.quantize(Decimal("0.0001"), rounding=ROUND_HALF_UP)
        assert not any(
            is_known for each, is_known in zip(made.criteria, told, strict=True) if each.field_name == field_name
        )

    @MANY
    @given(profiles(), facts())
    def test_is_within_its_bounds_and_its_parts_sum_to_it(self, made: Profile, known: dict[str, Any]):
        found = evaluate(made, known)
        explanation = explain(made, found, SCALE)

        assert 0 <= found.match_score <= 1
        assert 0 <= found.coverage <= 1
        assert 0 <= found.matched_fields <= found.total_fields == len({each.field_name for each in made.criteria})
        assert sum(each.score_part for each in explanation.components) == found.match_score
        weights = sum(each.weight for each in explanation.components if each.status != "unknown")
        if weights:
            points = sum(each.points for each in explanation.components)
            assert abs((1 + points / weights) / 2 - found.match_score) <= Decimal("0.00005")
        else:
            assert (found.match_score, found.coverage, found.recommendation) == (0, 0, "no_match")

    @MANY
    @given(st.sampled_from([">=", ">", "<=", "<"]), *[st.integers(-500_000, 500_000)] * 3)
    def test_only_rises_with_a_number_on_its_way_to_the_bound(self, operator: str, bound: int, one: int, other: int):
        made = profile(criterion("budget", operator, bound))
        farther, nearer = sorted((one, other), reverse=operator in ("<=", "<"))

        assert evaluate(made, {"budget": farther}).match_score <= evaluate(made, {"budget": nearer}).match_score

    @MANY
    @given(st.lists(st.integers(-1_000, 1_000), min_size=2, max_size=2, unique=True), *[st.integers(0, 3_000)] * 2)
    def test_only_falls_with_the_distance_from_a_range(self, bounds: list[int], one: int, other: int):
        low, high = sorted(bounds)
        made = profile(criterion("budget", "between", [low, high]))
        nearer, farther = sorted((one, other))

        assert (
            evaluate(made, {"budget": low - farther}).match_score
            <= evaluate(made, {"budget": low - nearer}).match_score
        )
        assert (
            evaluate(made, {"budget": high + farther}).match_score
            <= evaluate(made, {"budget": high + nearer}).match_score
        )


class TestRecommendation:
    @MANY
    @given(profiles(), facts())
    def test_is_at_most_low_without_what_is_required_or_with_too_little_known(
        self, made: Profile, known: dict[str, Any]
    ):
        found = evaluate(made, known)
        lacks = any(
            wish.required and not component.credit
            for wish, component in zip(made.criteria, found.components, strict=True)
        )

        if lacks or found.coverage < Decimal("0.5"):
            assert found.recommendation in ("low_match", "no_match")
        else:
            assert found.recommendation == SCALE.band(int(found.match_score * 10_000))

    @MANY
    @given(profiles(), facts())
    def test_below_its_score_always_says_why(self, made: Profile, known: dict[str, Any]):
        found = evaluate(made, known)
        band = SCALE.band(int(found.match_score * 10_000)) if found.coverage else "no_match"

        assert bool(explain(made, found, SCALE).caps) == (band != found.recommendation)


class TestFacts:
    @settings(max_examples=150, deadline=None)
    @given(profiles(least=3), st.dictionaries(st.sampled_from(sorted(FIELDS)), ANY_JSON))
    def test_of_any_json_are_evaluated_and_explained(self, made: Profile, known: dict[str, Any]):
        found = evaluate(made, known)
        document = explain(made, found, SCALE).as_dict()

        assert json.loads(found.packed_json) == json.loads(json.dumps(found.packed()))
        # Strict JSON, without the characters that PostgreSQL refuses.
        written = json.dumps(document, allow_nan=False)
        assert "\\u0000" not in written
        assert "\\u0000" not in found.packed_json
        json.dumps(document, ensure_ascii=False).encode()

    @MANY
    @given(profiles(least=2), st.lists(facts(), min_size=2, max_size=4))
    def test_seen_before_come_to_the_same(self, made: Profile, items: list[dict[str, Any]]):
        engine = compile_profiles([made], SCALE)
        given_facts = [{name: Fact(value, "signal") for name, value in known.items()} for known in items]
        first = [engine.evaluate(known) for known in given_facts]

        assert [engine.evaluate(known) for known in given_facts] == first
        assert [[evaluate(made, known)] for known in items] == first

    @MANY
    @given(st.lists(profiles(), min_size=1, max_size=4), facts())
    def test_are_scored_against_many_profiles_as_against_each(self, made: list[Profile], known: dict[str, Any]):
        engine = compile_profiles(made, SCALE)

        together = engine.evaluate({name: Fact(value, "signal") for name, value in known.items()})

        assert together == [evaluate(each, known) for each in made]

    @MANY
    @given(profiles(), facts())
    def test_are_the_same_to_a_stored_score(self, made: Profile, known: dict[str, Any]):
        found = evaluate(made, known)
        stored = Evaluation.unpacked(
            spotlight_id=found.spotlight_id,
            version=found.version,
            match_score=found.match_score,
            recommendation=found.recommendation,
            coverage=found.coverage,
            matched_fields=found.matched_fields,
            total_fields=found.total_fields,
            components=json.loads(found.packed_json),
        )

        assert explain(made, stored, SCALE) == explain(made, found, SCALE)


class TestChanges:
    @settings(max_examples=150, deadline=None)
    @given(profiles(), facts())
    def test_come_true_when_they_are_made(self, made: Profile, known: dict[str, Any]):
        before = evaluate(made, known)

        for change in changes_of(made, before.components, before, SCALE):
            if change.value is None:
                continue
            after = evaluate(made, {**known, change.field_name: change.value})
            assert (after.match_score, after.recommendation, after.coverage) == (
                change.match_score,
                change.recommendation,
                change.coverage,
            )
            assert change.delta == after.match_score - before.match_score
            assert (rank(after), after.match_score) > (rank(before), before.match_score)

    @MANY
    @given(profiles(), facts())
    def test_are_missing_only_where_nothing_would_help(self, made: Profile, known: dict[str, Any]):
        """Meeting the one criterion of a field in full raises every score below 1."""
        before = evaluate(made, known)
        named = {each.field_name for each in changes_of(made, before.components, before, SCALE)}

        for wish, component in zip(made.criteria, before.components, strict=True):
            is_only_one = sum(each.field_name == wish.field_name for each in made.criteria) == 1
            if is_only_one and component.credit != 1 and before.match_score < Decimal("0.99"):
                value = next(values_that_meet(wish), None)
                if value is not None:
                    after = evaluate(made, {**known, wish.field_name: value})
                    assert (wish.field_name in named) == (
                        (rank(after), after.match_score) > (rank(before), before.match_score)
                    )
