"""The formula of relevance and expiry: known values, what moves it which way, and the same in SQL as in Python."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowledger.tenancy.scope import org_scope
from memory.models import Kind
from memory.relevance import expires_at, relevance
from memory.rules import KindRule, Kinds
from memory.sql import relevance as sql
from tests.factories import ClientFactory
from tests.memory.factories import AtomFactory
from tests.workstream.factories import AT

DAY = timedelta(days=1)
KINDS = Kinds()
MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))
CONFIDENCES = st.decimals(Decimal(0), Decimal(1), places=2)


def at_age(days, **of):
    given = {"kind": "decision", "points": 100, "confidence": 1, "seen_count": 1, **of}
    return relevance(KINDS, last_seen_at=AT, at=AT + days * DAY, **given)


class TestRelevance:
    def test_halves_with_each_half_life(self):
        assert at_age(0) == 100
        assert at_age(365) == 50
        assert at_age(730) == 25
        assert at_age(30, kind="status", points=40) == 20

    def test_is_less_by_what_is_not_certain(self):
        assert at_age(365, confidence=Decimal("0.50")) == 25

    def test_grows_with_confirmations_up_to_a_limit(self):
        assert [at_age(0, seen_count=count) for count in (1, 2, 3, 5, 6, 50)] == [100, 105, 110, 120, 120, 120]

    def test_what_is_of_the_future_has_not_decayed(self):
        assert at_age(-10) == 100


class TestExpiry:
    def test_is_when_the_decayed_points_reach_the_floor(self):
        kept = Kinds(decision=KindRule(points=100, half_life_days=365, kept_days=None))
        ends = expires_at(kept, kind="decision", points=100, confidence=1, last_seen_at=AT)
        assert ends - AT == timedelta(days=365 * math.log2(20))

    def test_is_the_end_of_retention_where_that_comes_first(self):
        for kind, days in {"decision": 365, "risk": 365, "preference": 365, "note": 90, "status": 30}.items():
            points = getattr(KINDS, kind).points
            assert expires_at(KINDS, kind=kind, points=points, confidence=1, last_seen_at=AT) == AT + days * DAY

    def test_is_the_end_of_validity_where_that_comes_first(self):
        of = {"kind": "decision", "points": 100, "confidence": 1, "last_seen_at": AT}
        assert expires_at(KINDS, **of, valid_until=AT + DAY) == AT + DAY
        assert expires_at(KINDS, **of, valid_until=AT + 999 * DAY) == AT + 365 * DAY

    def test_is_at_once_for_what_begins_below_the_floor(self):
        of = {"kind": "status", "points": 40, "last_seen_at": AT}
        assert expires_at(KINDS, **of, confidence=Decimal("0.12")) == AT
        assert expires_at(KINDS, **of, confidence=0) == AT
        assert expires_at(KINDS, **of, confidence=Decimal("0.13")) > AT

    @given(
        st.sampled_from(Kind.values),
        st.integers(1, 100),
        CONFIDENCES,
        MOMENTS,
        st.floats(0.01, 50),
        st.integers(1, 2000),
    )
    def test_crosses_the_floor_there_and_not_before(self, kind, points, confidence, seen, floor, half_life):
        rule = KindRule(points=points, half_life_days=half_life, kept_days=None)
        kinds = Kinds(**{kind: rule}, floor=floor)
        of = {"kind": kind, "points": points, "confidence": confidence}
        ends = expires_at(kinds, **of, last_seen_at=seen)
        assert ends >= seen
        tick = timedelta(minutes=1)
        if ends > seen + tick:
            before = relevance(kinds, **of, seen_count=1, last_seen_at=seen, at=ends - tick)
            after = relevance(kinds, **of, seen_count=1, last_seen_at=seen, at=ends + tick)
            assert after < floor < before
        else:
            assert float(points) * float(confidence) <= floor * 1.01

    @given(st.floats(1e-300, 1e-3, exclude_min=False), st.integers(1, 36_500))
    def test_stays_within_the_calendar(self, floor, half_life):
        rule = KindRule(points=100, half_life_days=half_life, kept_days=None)
        kinds = Kinds(decision=rule, floor=floor)
        assert expires_at(kinds, kind="decision", points=100, confidence=1, last_seen_at=AT) > AT


@pytest.mark.django_db
class TestInTheDatabase:
    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def test_is_the_same(self, org_of_rows, data):
        """Many atoms and rules: the database says what Python says."""
        org, atom = org_of_rows
        rule = st.builds(
            KindRule,
            points=st.integers(1, 100),
            half_life_days=st.integers(1, 36_500),
            kept_days=st.none() | st.integers(1, 36_500),
        )
        kinds = data.draw(st.builds(Kinds, **dict.fromkeys(Kind.values, rule), floor=st.floats(0.01, 50)))
        at, seen = data.draw(MOMENTS), data.draw(MOMENTS)
        valid_until = data.draw(
            st.none() | st.timedeltas(timedelta(0), timedelta(days=5000)).map(lambda gap: seen + gap)
        )
        values = {
            "kind": data.draw(st.sampled_from(Kind.values)),
            "base_score": data.draw(st.integers(1, 100)),
            "confidence": data.draw(CONFIDENCES),
            "seen_count": data.draw(st.integers(1, 50)),
            "last_seen_at": seen,
            "valid_from": seen,
            "valid_until": valid_until,
        }
        with org_scope(org), connection.cursor() as cursor:
            type(atom).objects.for_org(org).filter(pk=atom.pk).update(**values)
            cursor.execute(
                f"SELECT {sql.relevance()}, {sql.expires_at()}, {sql.points()} FROM memory_atom atom "
                "WHERE org_id = %(org)s AND id = %(atom)s",
                {"org": org.pk, "atom": atom.pk, **sql.parameters(kinds, at=at)},
            )
            worth, ends, points = cursor.fetchone()
        of = {"kind": values["kind"], "points": values["base_score"], "confidence": values["confidence"]}
        expected = relevance(kinds, **of, seen_count=values["seen_count"], last_seen_at=seen, at=at)
        assert worth == pytest.approx(expected, rel=1e-9, abs=1e-9)
        expected_end = expires_at(kinds, **of, last_seen_at=seen, valid_until=valid_until)
        assert abs(ends - expected_end) <= timedelta(milliseconds=1)
        assert points == getattr(kinds, values["kind"]).points

    @pytest.fixture
    def org_of_rows(self, org):
        return org, AtomFactory(org=org, client=ClientFactory(org=org))
