"""Low-match alerts: who is told of a profile that matches too few signals, when, and that it is once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from flowledger.configuration import services as configuration
from flowledger.errors import PermissionRefused
from flowledger.outbox.drain import drain_all
from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.actors import Actor, Role
from flowledger.tenancy.models import Membership
from flowledger.tenancy.scope import system_scope
from spotlight import services, tasks
from spotlight.models import MatchAlert, Spotlight
from spotlight.services.match_alerts import Watched
from tests.spotlight.factories import SpotlightFactory
from tests.spotlight.scored import scored_signal
from tests.workstream.conftest import actor_of
from tests.workstream.factories import AT, SignalFactory
from workstream.models import Notification

WATCH = Actor.system("match rate watch")
DAY = timedelta(days=1)


@pytest.fixture
def rule(org: Any) -> Any:
    """Ten signals of the last seven days are enough to judge, one in five has to match."""
    return set_rule(org)


def set_rule(org: Any, **changes: Any) -> None:
    value = {"is_on": True, "least_rate": 0.2, "window_days": 7, "least_signals": 10, **changes}
    configuration.set_value(
        org=org,
        rule_type="spotlight_rule",
        key="match_alerts",
        value=value,
        reason="Tests",
        actor=Actor.system("tests"),
        at=AT - DAY,
    )


def signals_of(spotlight: Spotlight, matched: int, others: int, *, ts: Any = AT - DAY) -> None:
    for number in range(matched + others):
        band = "medium_match" if number < matched else "low_match"
        scored_signal(spotlight.org, spotlight, band, ts=ts)


def watched(org: Any, at: Any = AT) -> Watched:
    return services.watch_match_rates(org=org, actor=WATCH, at=at)


def events_named(name: str) -> list[dict[str, Any]]:
    return list(WorkEvent.all_orgs.filter(event_name=name).order_by("pk").values_list("payload", flat=True))


@pytest.mark.django_db
class TestWatch:
    def test_begins_a_stretch_below_the_least_rate(self, org, rule):
        low, fine = SpotlightFactory(org=org, name="Banking"), SpotlightFactory(org=org, name="Retail")
        signals_of(low, 1, 9)
        signals_of(fine, 2, 8)
        assert watched(org) == Watched(begun=1)
        (alert,) = MatchAlert.all_orgs.all()
        assert (alert.spotlight, float(alert.match_rate), alert.signals, alert.began_at) == (low, 0.1, 10, AT)
        assert events_named("spotlight.match_rate_low") == [
            {
                "spotlight_id": low.pk,
                "match_alert_id": alert.pk,
                "match_rate": 0.1,
                "least_rate": 0.2,
                "signals": 10,
                "window_days": 7,
            }
        ]

    def test_tells_once_for_a_stretch_and_again_for_the_next(self, org, rule):
        low = SpotlightFactory(org=org)
        signals_of(low, 0, 10)
        assert [watched(org, AT + day * DAY) for day in range(3)] == [Watched(begun=1), Watched(), Watched()]
        signals_of(low, 10, 0, ts=AT + 3 * DAY)
        assert watched(org, AT + 4 * DAY) == Watched(ended=1)
        signals_of(low, 0, 90, ts=AT + 4 * DAY)
        assert watched(org, AT + 5 * DAY) == Watched(begun=1)
        assert [len(events_named(f"spotlight.match_rate_{what}")) for what in ("low", "recovered")] == [2, 1]
        (recovered,) = events_named("spotlight.match_rate_recovered")
        # Ten of twenty: those of AT - 1 day are still in the window.
        assert recovered["match_rate"] == 0.5

    @pytest.mark.parametrize(
        ("others", "ts"), [(9, AT - DAY), (10, AT - 8 * DAY), (10, AT + DAY)], ids=["few", "too old", "to come"]
    )
    def test_judges_nobody_by_too_few_signals(self, org, rule, others, ts):
        signals_of(SpotlightFactory(org=org), 0, others, ts=ts)
        assert watched(org) == Watched()

    def test_a_stretch_goes_on_while_there_are_too_few_signals(self, org, rule):
        signals_of(SpotlightFactory(org=org), 0, 10)
        watched(org)
        assert watched(org, AT + 30 * DAY) == Watched()
        assert MatchAlert.all_orgs.standing().count() == 1

    def test_leaves_out_scores_of_an_earlier_version(self, org, rule):
        low = SpotlightFactory(org=org)
        signals_of(low, 0, 10)
        Spotlight.all_orgs.filter(pk=low.pk).update(version=2)
        assert watched(org) == Watched()

    @pytest.mark.parametrize("why", ["the profile sleeps", "the rule is off"])
    def test_who_is_watched_no_more_has_no_alert(self, org, rule, why):
        low = SpotlightFactory(org=org)
        signals_of(low, 0, 10)
        watched(org)
        if why == "the rule is off":
            set_rule(org, is_on=False)
        else:
            Spotlight.all_orgs.filter(pk=low.pk).update(active=False)
        assert watched(org, AT + DAY) == Watched(ended=1)
        assert [each["match_rate"] for each in events_named("spotlight.match_rate_recovered")] == [None]
        assert watched(org, AT + 2 * DAY) == Watched()

    def test_counts_strangers_signals_nowhere(self, org, other_org, rule):
        mine, theirs = SpotlightFactory(org=org), SpotlightFactory(org=other_org)
        signals_of(theirs, 0, 60)
        signals_of(mine, 2, 8)
        assert watched(org) == Watched()
        assert watched(other_org) == Watched(begun=1)
        assert MatchAlert.all_orgs.get().org_id == other_org.pk

    def test_is_not_for_representatives(self, org, rep):
        signals_of(SpotlightFactory(org=org), 0, 60)
        with pytest.raises(PermissionRefused):
            services.watch_match_rates(org=org, actor=actor_of(rep), at=AT)
        assert not MatchAlert.all_orgs.exists()
        assert not WorkEvent.all_orgs.exists()


@pytest.mark.django_db
class TestTell:
    def test_the_managers_hear_of_it_once(self, org, rule, manager, rep):
        signals_of(SpotlightFactory(org=org, name="Banking"), 1, 9)
        watched(org)
        drain_all()
        watched(org, AT + DAY)
        drain_all()
        (note,) = Notification.all_orgs.all()
        assert (note.user, note.title) == (manager.user, "Low match rate: Banking")
        assert note.body.startswith(
            "The profile matched 10.0 % of 10 signals of the last 7 days; at least 20 % are asked for."
        )
        assert note.email_due_at is not None

    def test_without_managers_the_administrators_do(self, org, rule, member_of, rep):
        chief: Membership = member_of(org, Role.ADMIN, username="ada")
        signals_of(SpotlightFactory(org=org), 0, 10)
        watched(org)
        drain_all()
        assert [note.user for note in Notification.all_orgs.all()] == [chief.user]

    def test_nobody_hears_of_a_stretch_that_is_over(self, org, rule, manager):
        low = SpotlightFactory(org=org)
        signals_of(low, 0, 10)
        watched(org)
        signals_of(low, 10, 0)
        watched(org, AT + DAY)
        drain_all()
        assert not Notification.all_orgs.exists()

    def test_the_notification_leads_to_the_profile(self, home, as_role):
        set_rule(home.org)
        low = SpotlightFactory(org=home.org)
        signals_of(low, 0, 10)
        watched(home.org)
        drain_all()
        note = Notification.all_orgs.get(user=home.people[Role.MANAGER])
        answer = as_role(Role.MANAGER).post(f"/admin/notifications/{note.pk}/read/", {"open": "1"})
        assert answer.headers["Location"] == f"/admin/spotlight/spotlight/{low.pk}/change/"


@pytest.mark.django_db
def test_the_task_goes_through_the_organisations(org, other_org, settings):
    at = tasks.timezone.now()
    for each in (org, other_org):
        signals_of(SpotlightFactory(org=each), 0, 50, ts=at - timedelta(hours=1))
    assert tasks.watch_match_rates() == 2
    assert tasks.watch_match_rates() == 0
    assert {alert.org_id for alert in MatchAlert.all_orgs.all()} == {org.pk, other_org.pk}


@pytest.mark.django_db(transaction=True)
def test_two_watches_at_once_begin_one_stretch(transactional_db, org):
    with system_scope("tests"):
        low = SpotlightFactory(org=org)
        for _ in range(60):
            scored_signal(org, low, "no_match", ts=AT - DAY, signal=SignalFactory(org=org, ts=AT - DAY, client=None))

    def watch(_: int) -> int:
        try:
            return watched(org).begun
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(watch, range(8))) == 1
    with system_scope("tests"):
        assert MatchAlert.all_orgs.count() == 1
        assert len(events_named("spotlight.match_rate_low")) == 1
