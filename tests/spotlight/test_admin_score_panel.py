"""The score on the pages of signals and candidates: explained, moved, set by hand, scored again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.timezone import now

from flowledger.tenancy.actors import Role
from flowledger.tenancy.scope import org_scope, system_scope
from spotlight import services
from spotlight.models import ScoreOverride, SpotlightScore
from tests.spotlight.factories import AT, CLERK, WORKED_DATA, WORKED_EXAMPLE, open_spotlight
from tests.workstream.back_office import address, events_of, said
from tests.workstream.factories import CandidateFactory, SignalFactory
from workstream.models import Signal


@pytest.fixture(autouse=True)
def no_wake(settings: Any) -> None:
    settings.OUTBOX_WAKE = False


def make_signal(org, **attributes):
    with system_scope("tests"):
        return SignalFactory(org=org, attributes=attributes or dict(WORKED_DATA))


def score(signal, cause="new"):
    return services.evaluate_items(
        org=signal.org, item_type="signal", item_ids=[signal.pk], cause=cause, actor=CLERK, at=AT
    )


def page_of(item):
    return address(type(item), "change", item.pk)


def panel_of(client, item):
    panels = client.get(page_of(item)).context["registered_panels"]
    found = [each.content for each in panels if each.template == "spotlight/score_panel.html"]
    return found[0] if found else None


def link(name, *args):
    return reverse(f"admin:score_{name}", args=args)


class TestPanel:
    def test_explains_the_worked_example(self, home, as_role):
        open_spotlight(home.org, name="Banks")
        signal = make_signal(home.org)
        score(signal)
        text = unescape(as_role(Role.VIEWER).get(page_of(signal)).content.decode())
        [shown] = panel_of(as_role(Role.VIEWER), signal).scores
        assert (shown.name, shown.score, shown.label) == ("Banks", "0.80", "High match")
        assert [(line.points, line.text) for line in shown.explained.lines] == [
            ("+10", "Industry match: Financial Services"),
            ("+10", "Employees match: 120 of 50–200"),
            ("+10", "Sites match: 3 of 2+"),
            ("−6", "Budget below range: 60k of 100k+ (20% credit)"),
        ]
        assert sum(Decimal(line.part) for line in shown.explained.lines) == Decimal("0.8000")
        assert "3 of 4 fields met; 100% of the weight is known." in text
        assert "If budget were 100k or more: 1.00, high_match (+0.20)" in text
        assert "Score again" not in text
        assert "Set by hand" not in text

    def test_says_why_a_recommendation_is_capped(self, home, as_role):
        open_spotlight(home.org, [{**WORKED_EXAMPLE[0], "required": True}, *WORKED_EXAMPLE[1:]])
        signal = make_signal(home.org, budget="200k", employees=100, sites=9)
        score(signal)
        [shown] = panel_of(as_role(Role.VIEWER), signal).scores
        assert (shown.score, shown.label) == ("1.00", "Low match")
        assert shown.explained.caps == ["Industry is required and unknown, so it is a low match and no more."]

    def test_the_best_profile_comes_first(self, home, as_role):
        open_spotlight(home.org, name="All")
        open_spotlight(home.org, WORKED_EXAMPLE[1:2], name="Budget alone")
        open_spotlight(home.org, WORKED_EXAMPLE[:1], name="Industry alone")
        signal = make_signal(home.org)
        score(signal)
        shown = panel_of(as_role(Role.VIEWER), signal).scores
        assert [(each.name, each.score) for each in shown] == [
            ("Industry alone", "1.00"),
            ("All", "0.80"),
            ("Budget alone", "0.20"),
        ]

    def test_shows_how_it_moved_and_which_criteria_did_it(self, home, as_role):
        spotlight = open_spotlight(home.org, name="Banks")
        signal = make_signal(home.org)
        score(signal)
        with org_scope(home.org):
            Signal.objects.for_org(home.org).filter(pk=signal.pk).update(attributes={**WORKED_DATA, "budget": "120k"})
        score(signal, cause="item")
        wishes = [dict(each) for each in WORKED_EXAMPLE[:3]]
        wishes.append({"field_name": "country", "field_type": "text", "operator": "=", "value": "Chile", "weight": 10})
        services.update_spotlight(
            org=home.org, spotlight_id=spotlight.pk, fields={}, criteria=wishes, actor=CLERK, at=AT
        )
        score(signal, cause="profile")
        newest, first = panel_of(as_role(Role.VIEWER), signal).moves
        assert (first.before, first.after, first.delta, first.band_change) == ("0.80", "1.00", "+0.20", "")
        assert first.sentences == ["Budget: 60k (20% credit) → 120k (100% credit), from signal"]
        assert newest.cause == "The profile changed"
        assert newest.sentences == [
            "Version 1 became version 2",
            "Sites: 3 (100% credit) → not asked",
            "Country: not asked → unknown",
        ]

    def test_is_there_for_candidates(self, home, as_role):
        open_spotlight(home.org)
        with system_scope("tests"):
            candidate = CandidateFactory(org=home.org, estimated_value=Decimal(50_000))
        services.evaluate_items(
            org=home.org, item_type="candidate", item_ids=[candidate.pk], cause="new", actor=CLERK, at=AT
        )
        [shown] = panel_of(as_role(Role.VIEWER), candidate).scores
        assert shown.explained.lines[0].source == "candidate"
        assert "25% of the weight is known" in shown.explained.known

    def test_says_that_an_item_is_not_scored_yet(self, home, as_role):
        open_spotlight(home.org)
        signal = make_signal(home.org)
        panel = panel_of(as_role(Role.REP), signal)
        assert (list(panel.scores), panel.may_rescore) == ([], True)
        assert "Not scored yet." in panel.reason

    def test_is_left_out_without_an_active_profile(self, home, as_role):
        open_spotlight(home.org, active=False)
        assert panel_of(as_role(Role.MANAGER), make_signal(home.org)) is None

    def test_shows_nothing_of_another_organisation(self, home, abroad, as_role):
        open_spotlight(home.org)
        open_spotlight(abroad.org, name="Birches")
        theirs, mine = make_signal(abroad.org), make_signal(home.org)
        score(theirs)
        score(mine)
        assert len(panel_of(as_role(Role.ADMIN), mine).scores) == 1
        assert as_role(Role.ADMIN).get(page_of(theirs)).status_code == 302


class TestScoreAgain:
    def test_scores_the_item_now(self, home, as_role):
        open_spotlight(home.org)
        signal = make_signal(home.org)
        client = as_role(Role.REP)
        assert "the score has moved" in said(client.post(link("rescore", "signal", signal.pk), follow=True))
        assert "nothing has changed" in said(client.post(link("rescore", "signal", signal.pk), follow=True))
        assert events_of(home.org).count("spotlight.evaluated") == 1

    def test_of_a_strangers_item_does_not_exist(self, abroad, as_role):
        open_spotlight(abroad.org)
        theirs = make_signal(abroad.org)
        for kind in ("signal", "candidate", "pursuit"):
            assert as_role(Role.ADMIN).post(link("rescore", kind, theirs.pk)).status_code == 404
        with org_scope(abroad.org):
            assert not SpotlightScore.objects.for_org(abroad.org).exists()

    def test_needs_a_post_with_a_token_of_a_representative(self, home, as_role):
        open_spotlight(home.org)
        signal = make_signal(home.org)
        address = link("rescore", "signal", signal.pk)
        assert as_role(Role.REP).get(address).status_code == 405
        assert as_role(Role.VIEWER).post(address).status_code == 403
        client = Client(enforce_csrf_checks=True)
        client.force_login(home.people[Role.ADMIN])
        assert client.post(address).status_code == 403
        with org_scope(home.org):
            assert not SpotlightScore.objects.for_org(home.org).exists()


class TestSetByHand:
    @pytest.fixture
    def spotlight(self, home):
        return open_spotlight(home.org, name="Banks")

    @pytest.fixture
    def signal(self, home, spotlight):
        signal = make_signal(home.org)
        score(signal)
        return signal

    def test_counts_until_it_is_taken_back(self, home, as_role, signal, spotlight):
        client, key = as_role(Role.MANAGER), ("signal", signal.pk, spotlight.pk)
        day = now().date() + timedelta(days=10)
        values = {"match_score": "0.3", "reason": "They went to a competitor", "last_day": day.isoformat()}
        response = client.post(link("override", *key), values, follow=True)
        assert "The score is 0.30, no match" in said(response)
        with org_scope(home.org):
            row = ScoreOverride.objects.for_org(home.org).get()
        assert row.expires_at == datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC)
        [shown] = panel_of(client, signal).scores
        assert (shown.score, shown.label, shown.computed) == ("0.30", "No match", "0.80, high match")
        assert "They went to a competitor" in client.get(page_of(signal)).content.decode()
        response = client.post(link("override_end", *key), follow=True)
        assert "The computed score counts again." in said(response)
        [shown] = panel_of(client, signal).scores
        assert (shown.score, shown.override) == ("0.80", None)
        assert [(each.before, each.after) for each in panel_of(client, signal).moves] == [
            ("0.30", "0.80"),
            ("0.80", "0.30"),
        ]

    def test_by_a_band_alone_is_where_the_band_begins(self, home, as_role, signal, spotlight):
        values = {"recommendation": "medium_match", "reason": "Worth a call"}
        before = now()
        as_role(Role.MANAGER).post(link("override", "signal", signal.pk, spotlight.pk), values)
        with org_scope(home.org):
            row = ScoreOverride.objects.for_org(home.org).get()
        assert (row.match_score, row.recommendation) == (Decimal("0.6000"), "medium_match")
        assert before + timedelta(days=30) <= row.expires_at <= now() + timedelta(days=30)

    @pytest.mark.parametrize(
        ("values", "sentence"),
        [
            ({"match_score": "0.3"}, "This field is required."),
            ({"reason": "So"}, "Give a score from 0 to 1, or a recommendation."),
            ({"match_score": "2", "reason": "So"}, "less than or equal to 1"),
            ({"match_score": "1", "reason": "So", "last_day": "2020-01-01"}, "This must lie in the future."),
            ({"match_score": "1", "reason": "So", "last_day": "9999-12-31"}, "365 days"),
        ],
    )
    def test_one_that_makes_no_sense_is_refused_in_words(self, home, as_role, signal, spotlight, values, sentence):
        response = as_role(Role.MANAGER).post(link("override", "signal", signal.pk, spotlight.pk), values)
        assert response.status_code == 400
        assert sentence in unescape(response.content.decode())
        with org_scope(home.org):
            assert not ScoreOverride.objects.for_org(home.org).exists()

    def test_is_for_managers_of_the_organisation(self, home, abroad, as_role, signal, spotlight):
        theirs = open_spotlight(abroad.org)
        values = {"match_score": "1", "reason": "So"}
        for name in ("override", "override_end"):
            assert as_role(Role.REP).post(link(name, "signal", signal.pk, spotlight.pk), values).status_code == 403
        assert as_role(Role.ADMIN).post(link("override", "signal", signal.pk, theirs.pk), values).status_code == 404
        assert as_role(Role.ADMIN).get(link("override", "signal", signal.pk, spotlight.pk)).status_code == 200
        with org_scope(home.org):
            assert not ScoreOverride.objects.for_org(home.org).exists()

    def test_taking_back_what_was_not_set_says_so(self, as_role, signal, spotlight):
        client = as_role(Role.MANAGER)
        response = client.post(link("override_end", "signal", signal.pk, spotlight.pk), follow=True)
        assert "no score" in said(response)
