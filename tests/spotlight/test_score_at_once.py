"""Scoring beside scoring, beside edits of profiles and beside what is set by hand: nothing newer is overwritten."""

from __future__ import annotations

import threading
from decimal import Decimal

import pytest
from django.db import connection

from flowledger.embedded.processes import wait_until
from flowledger.tenancy.scope import org_scope, system_scope
from spotlight import services
from spotlight.models import Cause, ScoreOverride, SpotlightFit, SpotlightScore
from spotlight.services import storing
from spotlight.services.definitions import active_profiles
from spotlight.services.scoring import Scored
from tests.spotlight.factories import CLERK, open_spotlight, wish
from tests.spotlight.scoring import (
    BANKS,
    LATER,
    change_attributes,
    changes_of,
    evaluate,
    fit_of,
    override,
    scores_of,
    signal_of,
    told_of,
)
from tests.workstream.factories import AT
from tests.workstream.trail import at_once
from workstream.models import Signal

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("transactional_db")]


def test_eight_at_once_store_and_tell_once(org):
    profiles = [open_spotlight(org, BANKS, name=f"Profile {number}") for number in range(3)]
    signals = [signal_of(org, industry="Banking") for _ in range(30)]

    answers = at_once(*[lambda: evaluate(org, *signals)] * 8)

    assert all(isinstance(answer, Scored) and answer.items == 30 for answer in answers), answers
    with system_scope("tests"):
        assert SpotlightScore.all_orgs.count() == 30 * len(profiles)
        assert SpotlightFit.all_orgs.count() == 30
        assert set(SpotlightScore.all_orgs.values_list("row_version", flat=True)) == {1}
    # Who came later found everything there; what it told besides would have been routed twice.
    assert sum(len(each["results"]) for signal in signals for each in told_of(signal)) == 30 * len(profiles)


def test_slices_in_any_order_wait_for_each_other_and_end(org):
    """Overlapping sets of items, profile by profile and all together."""
    profiles = [open_spotlight(org, BANKS, name=f"Profile {number}") for number in range(4)]
    signals = [signal_of(org, industry="Banking") for _ in range(60)]

    answers = at_once(
        lambda: evaluate(org, *signals[:40]),
        lambda: evaluate(org, *reversed(signals[20:])),
        *[lambda pk=each.pk: evaluate(org, *signals, spotlight_ids=[pk]) for each in profiles],
    )

    assert all(isinstance(answer, Scored) for answer in answers), answers
    with system_scope("tests"):
        assert SpotlightScore.all_orgs.count() == 60 * len(profiles)
        best = set(SpotlightFit.all_orgs.values_list("spotlight_id", flat=True))
    assert best == {profiles[0].pk}


def test_each_of_two_profiles_sees_the_others_score_in_the_best(org):
    """Two re-scores, one a profile: whoever settles last has both scores before its eyes."""
    poor = open_spotlight(org, [wish("industry", "=", "Fishing", field_type="text")], name="Poor")
    good = open_spotlight(org, [wish("industry", "=", "Banking")], name="Good")
    signals = [signal_of(org, industry="Banking") for _ in range(40)]

    answers = at_once(
        *[lambda: evaluate(org, *signals, spotlight_ids=[poor.pk])] * 2,
        *[lambda: evaluate(org, *signals, spotlight_ids=[good.pk])] * 2,
    )

    assert all(isinstance(answer, Scored) for answer in answers), answers
    assert {fit.spotlight_id for fit in map(fit_of, signals) if fit} == {good.pk}


def test_what_was_read_earlier_does_not_overwrite_newer_facts(org):
    """One has read the facts and waits to store their score; meanwhile another stores the score of newer facts."""
    spotlight = open_spotlight(org, BANKS)
    signal = signal_of(org, industry="Fishing")
    evaluate(org, signal)
    change_attributes(signal, industry="Logistics")
    is_held = threading.Event()

    def earlier() -> Scored:
        assert is_held.wait(30)
        return evaluate(org, signal, cause=Cause.ITEM)

    def later() -> Scored:
        with org_scope(org):
            list(SpotlightScore.objects.for_org(org).filter(signal=signal).locked().order_by("pk"))
            is_held.set()
            assert wait_until(_somebody_waits, seconds=30)
            Signal.objects.for_org(org).filter(pk=signal.pk).update(attributes={"industry": "Banking"})
            return evaluate(org, signal, at=LATER, cause=Cause.ITEM)

    assert at_once(earlier, later) == [Scored(1, 0), Scored(1, 1)]

    assert scores_of(signal)[spotlight.pk].match_score == 1
    fit = fit_of(signal)
    assert fit is not None
    assert fit.match_score == 1
    assert [(move.previous_score, move.match_score) for move in changes_of(signal)] == [(0, 1)]


def _somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])


def test_an_older_version_does_not_overwrite_a_newer_one(org):
    spotlight = open_spotlight(org, BANKS)
    signal = signal_of(org, industry="Banking")
    with org_scope(org):
        old = active_profiles(org)
    services.update_spotlight(
        org=org,
        spotlight_id=spotlight.pk,
        fields={},
        criteria=[wish("industry", "=", "Fishing")],
        actor=CLERK,
        at=AT,
    )
    evaluate(org, signal)
    with org_scope(org):
        late = storing.Storing(org=org, item_type="signal", cause=Cause.NEW, actor=CLERK, at=LATER)
        late.evaluate([signal.pk], old)
        assert late.announce() == 0

    row = scores_of(signal)[spotlight.pk]
    assert (row.spotlight_version, row.match_score) == (2, 0)
    assert changes_of(signal) == []


def test_a_profile_may_be_deleted_meanwhile(org):
    kept = open_spotlight(org, BANKS, name="Kept")
    gone = open_spotlight(org, BANKS, name="Gone")
    signals = [signal_of(org, industry="Banking") for _ in range(40)]
    evaluate(org, *signals[:20])

    scored, deleted = at_once(
        lambda: evaluate(org, *signals, cause=Cause.MANUAL),
        lambda: services.delete_spotlight(org=org, spotlight_id=gone.pk, actor=CLERK, at=AT),
    )

    assert isinstance(scored, Scored), scored
    assert not isinstance(deleted, Exception), deleted
    with system_scope("tests"):
        assert set(SpotlightScore.all_orgs.values_list("spotlight_id", flat=True)) == {kept.pk}


def test_two_who_set_a_score_by_hand_take_turns(org):
    spotlight = open_spotlight(org, BANKS)
    signal = signal_of(org, industry="Banking")
    evaluate(org, signal)

    answers = at_once(
        *[
            lambda band=band: override(signal, spotlight, recommendation=band)
            for band in ("low_match", "no_match", "medium_match")
        ],
        *[lambda: evaluate(org, signal)] * 2,
    )

    assert not [answer for answer in answers if isinstance(answer, Exception)], answers
    with system_scope("tests"):
        (standing,) = ScoreOverride.all_orgs.filter(signal=signal.pk, ended_at__isnull=True)
        assert ScoreOverride.all_orgs.filter(signal=signal.pk).count() == 3
    fit = fit_of(signal)
    assert fit is not None
    assert (fit.match_score, fit.is_override) == (standing.match_score, True)
    # Each move begins where the one before ended.
    moves = changes_of(signal)
    assert moves[0].previous_score == Decimal(1)
    assert [move.previous_score for move in moves[1:]] == [move.match_score for move in moves[:-1]]
