"""Why a clock stands as it does: in numbers, in sentences, by REST and on the command line."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from flowledger.errors import InvalidInput, NotFound
from tests.queries import counted_queries
from tests.workstream.due_clocks import AT, HOUR, clock_of, rule_of, soft_clock_of
from tests.workstream.factories import CLERK, CandidateFactory, PursuitFactory, SignalFactory, open_candidate
from tests.workstream.trail import nothing_changes
from workstream import services
from workstream.models import SlaBreach, SlaClock, SlaRule
from workstream.services.sla_explain import ClockStory, explain
from workstream.services.sla_sweep import sweep

pytestmark = pytest.mark.django_db

MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)


def stories(item: Any, at: datetime = AT) -> list[ClockStory]:
    return explain(org=item.org, item_type=item._meta.model_name, item_id=item.pk, at=at)


def told(item: Any, at: datetime = AT) -> list[str]:
    """The sentences about the item's only clock."""
    (story,) = stories(item, at)
    return list(story.sentences)


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("sla", *arguments, stdout=out, stderr=out)
    return out.getvalue()


class TestRunning:
    def test_says_since_when_by_which_rule_and_until_when(self, org):
        rule = rule_of(org)
        clock = clock_of(rule, due_at=AT + 20 * HOUR)

        (story,) = stories(clock.candidate)
        assert (story.state, story.elapsed_seconds, story.remaining_seconds) == ("running", 4 * 3600, 20 * 3600)
        assert story.sentences == (
            "Triage counts from 4 March 2026, 08:00 (UTC), when the candidate was created.",
            f"Rule {rule.pk} counts every hour, nights and weekends included.",
            "It allows 24 hours.",
            "It warns at 5 March 2026, 02:00 (UTC).",
            "It is due at 5 March 2026, 08:00 (UTC): 4 h have passed, 20 h are left.",
        )

    def test_says_by_how_much_it_is_late_and_which_breach_is_open(self, org):
        clock = clock_of(rule_of(org), due_at=AT - timedelta(minutes=90))
        sweep(at=AT)
        breach = SlaBreach.all_orgs.get()

        (story,) = stories(clock.candidate)
        assert story.remaining_seconds == -90 * 60
        assert story.sentences[-3:] == (
            "It warned at 4 March 2026, 04:30 (UTC).",
            "It was due at 4 March 2026, 10:30 (UTC) and is late by 1 h 30 min.",
            f"Untouched: breach {breach.pk} is open since 4 March 2026, 10:30 (UTC).",
        )

    def test_counts_open_hours_and_speaks_in_the_organisations_zone(self, org):
        org.timezone = "Europe/Berlin"
        org.save()
        calendar = services.create_calendar(
            org=org,
            fields={"name": "Office", "timezone": "Europe/Berlin"},
            closing_days=(),
            actor=CLERK,
            at=MONDAY,
        )
        rule = rule_of(org, calendar=calendar, threshold_hours=Decimal(12), warn_before_hours=Decimal(3))
        # Monday 10:00 in Berlin: seven hours are left of the day, so twelve end at 14:00 on Tuesday.
        due_at = datetime(2026, 3, 3, 13, tzinfo=UTC)
        clock = clock_of(rule, started_at=MONDAY, due_at=due_at, warn_at=due_at - 3 * HOUR)

        (story,) = stories(clock.candidate, at=datetime(2026, 3, 3, 10, tzinfo=UTC))
        assert (story.calendar, story.elapsed_seconds, story.remaining_seconds) == ("Office", 9 * 3600, 3 * 3600)
        assert f"Rule {rule.pk} counts only the hours in which the calendar Office (Europe/Berlin) is open." in (
            story.sentences
        )
        assert story.sentences[-1] == "It is due at 3 March 2026, 14:00 (CET): 9 h have passed, 3 h are left."

    def test_says_that_an_edited_rule_is_about_to_apply(self, org):
        rule = rule_of(org)
        clock = clock_of(rule)
        SlaRule.all_orgs.filter(pk=rule.pk).update(version=2)

        assert (
            "The rule was edited since: the clock still goes by version 1, version 2 is about to replace it."
            in told(clock.candidate)
        )

    @pytest.mark.parametrize(
        ("metric", "why"),
        [("touch", "when somebody last did something on it"), ("due_date", "when the due date was set")],
    )
    def test_a_clock_without_a_rule_can_only_warn(self, org, metric, why):
        pursuit = PursuitFactory(org=org)
        soft_clock_of(pursuit, metric=metric, warn_at=AT + HOUR)

        first, second, third = told(pursuit)
        assert first.endswith(f"{why}.")
        assert (second, third) == (
            "It goes by no SLA rule: it warns, and cannot be breached.",
            "It warns at 4 March 2026, 13:00 (UTC).",
        )


class TestPaused:
    def test_says_who_put_it_on_hold_why_and_until_when(self, org):
        rule_of(org, stage="on_hold", default_key="keeps the defaults away")
        candidate = open_candidate(org, status="triaged", at=MONDAY)
        rule = rule_of(org)
        clock_of(rule, candidate, started_at=MONDAY, due_at=MONDAY + 24 * HOUR)
        hold = {"org": org, "candidate_id": candidate.pk, "actor": CLERK}
        services.hold_candidate(
            **hold, reason="Budget in May", resume_at=MONDAY + 100 * HOUR, at=MONDAY + timedelta(hours=4, minutes=30)
        )

        def of_rule(at: datetime) -> ClockStory:
            (story,) = [each for each in stories(candidate, at) if each.rule_id == rule.pk]
            return story

        story = of_rule(MONDAY + 10 * HOUR)
        assert (story.state, story.elapsed_seconds, story.remaining_seconds) == ("paused", 4.5 * 3600, 19.5 * 3600)
        assert story.paused_seconds == 5.5 * 3600
        assert (
            "It stands still since 2 March 2026, 13:30 (UTC): put on hold by tests (Budget in May), "
            "until 6 March 2026, 13:00 (UTC)." in story.sentences
        )
        assert "Of its time 19 h 30 min are left, and begin when it runs on." in story.sentences

        services.resume_candidate(**hold, at=MONDAY + 100 * HOUR)
        story = of_rule(MONDAY + 101 * HOUR)
        assert (story.state, story.elapsed_seconds, story.remaining_seconds) == ("running", 5.5 * 3600, 18.5 * 3600)
        assert (
            "It stood still from 2 March 2026, 13:30 (UTC) to 6 March 2026, 13:00 (UTC), on hold by tests; "
            "95 h 30 min were not counted." in story.sentences
        )


class TestEnded:
    @pytest.mark.parametrize(
        ("outcome", "sentence"),
        [
            ("met", "It ended at 4 March 2026, 11:00 (UTC) by candidate.triaged, in time."),
            ("breached", "It ended at 4 March 2026, 11:00 (UTC) by candidate.triaged, too late."),
            (
                "cancelled",
                "It ended at 4 March 2026, 11:00 (UTC) by candidate.triaged, because it was not wanted any more.",
            ),
        ],
    )
    def test_says_how(self, org, outcome, sentence):
        clock = clock_of(rule_of(org), due_at=AT, stopped_at=AT - HOUR, stopped_by="candidate.triaged", outcome=outcome)

        (story,) = stories(clock.candidate)
        assert (story.state, story.remaining_seconds, story.elapsed_seconds) == (outcome, None, 23 * 3600)
        assert story.sentences[-2:] == (
            "It was due at 4 March 2026, 12:00 (UTC); 23 h had passed at its end.",
            sentence,
        )

    def test_comes_after_what_runs(self, org):
        candidate = CandidateFactory(org=org)
        rule = rule_of(org)
        runs = clock_of(rule, candidate, due_at=AT - 100 * HOUR)
        ended = clock_of(rule, candidate, due_at=AT, stopped_at=AT, outcome="met")

        assert [story.clock_id for story in stories(candidate)] == [runs.pk, ended.pk]


class TestRefusals:
    def test_what_has_no_clocks(self, org):
        with pytest.raises(InvalidInput, match="choose from: signal, candidate, pursuit"):
            explain(org=org, item_type="proposal", item_id=1, at=AT)

    def test_an_item_of_somebody_else(self, org, other_org):
        candidate = CandidateFactory(org=other_org)
        with pytest.raises(NotFound):
            explain(org=org, item_type="candidate", item_id=candidate.pk, at=AT)


class TestRest:
    def test_answers_viewers(self, org, as_viewer):
        clock = clock_of(rule_of(org))

        answer = as_viewer.get(f"/api/sla/explain?item_type=candidate&item_id={clock.candidate_id}")
        assert answer.status_code == 200
        body = answer.json()
        assert (body["item_type"], body["item_id"]) == ("candidate", clock.candidate_id)
        (told_clock,) = body["clocks"]
        assert (told_clock["clock_id"], told_clock["due_at"]) == (clock.pk, "2026-03-04T12:00:00Z")
        assert told_clock["sentences"][0].startswith("Triage counts from 3 March 2026, 12:00 (UTC)")

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("item_type=candidate", "item_id"),
            ("item_type=proposal&item_id=1", "item_type"),
            ("item_type=candidate&item_id=one", "item_id"),
            ("item_type=candidate&item_id=0", "item_id"),
            ("item_type=candidate&item_id=1&badge=red", "badge"),
        ],
    )
    def test_refuses_what_names_no_item(self, as_viewer, query, field):
        answer = as_viewer.get(f"/api/sla/explain?{query}")

        assert (answer.status_code, list(answer.json()["fields"])) == (400, [field])

    def test_a_strangers_item_does_not_exist(self, org, as_stranger):
        clock = clock_of(rule_of(org))

        answer = as_stranger.get(f"/api/sla/explain?item_type=candidate&item_id={clock.candidate_id}")
        assert answer.status_code == 404

    def test_asks_no_more_for_many_clocks(self, org, as_viewer):
        candidate = CandidateFactory(org=org)
        for number in range(30):
            clock_of(rule_of(org), candidate, due_at=AT - number * HOUR, stopped_at=AT, outcome="met")

        with counted_queries() as statements:
            assert as_viewer.get(f"/api/sla/explain?item_type=candidate&item_id={candidate.pk}").status_code == 200
        # The item, its clocks with their rules, their breaches, and the stays on hold.
        assert len([each for each in statements if "workstream_" in each]) == 4


class TestCommand:
    def test_explains(self, org):
        clock = clock_of(rule_of(org), due_at=AT, stopped_at=AT, outcome="met", stopped_by="candidate.triaged")

        assert run("explain", f"candidate:{clock.candidate_id}").splitlines() == [
            f"Clock {clock.pk}, met, Triage of a candidate: 24 h",
            "  Triage counts from 3 March 2026, 12:00 (UTC), when the candidate was created.",
            f"  Rule {clock.rule_id} counts every hour, nights and weekends included.",
            "  It allows 24 hours.",
            "  It was due at 4 March 2026, 12:00 (UTC); 24 h had passed at its end.",
            "  It ended at 4 March 2026, 12:00 (UTC) by candidate.triaged, in time.",
        ]

    def test_explains_as_json(self, org):
        clock = clock_of(rule_of(org), due_at=AT)

        answer = json.loads(run("explain", f"candidate:{clock.candidate_id}", "--org", str(org.pk), "--json"))
        assert (answer["org_id"], answer["clocks"][0]["clock_id"]) == (org.pk, clock.pk)

    def test_explains_an_item_without_clocks(self, org):
        signal = SignalFactory(org=org)

        assert run("explain", f"signal:{signal.pk}") == f"No clock runs or ran on signal {signal.pk}.\n"

    def test_refuses_an_item_that_is_not_there_or_elsewhere(self, org, other_org):
        candidate = CandidateFactory(org=org)
        with pytest.raises(CommandError, match="There is no pursuit 1"):
            run("explain", "pursuit:1")
        with pytest.raises(CommandError, match=f"in organisation {other_org.pk}"):
            run("explain", f"candidate:{candidate.pk}", "--org", str(other_org.pk))
        with pytest.raises(CommandError, match="is no item; write signal:ID, candidate:ID, pursuit:ID"):
            run("explain", "proposal:1")

    def test_sweeps(self, org):
        rule = rule_of(org)
        clock_of(rule, due_at=AT)
        clock_of(rule, due_at=datetime(2100, 1, 1, tzinfo=UTC), warn_at=AT)

        assert run("sweep") == "1 warned, 1 breached.\n"
        assert json.loads(run("sweep", "--json")) == {"warned": 0, "breached": 0, "failures": []}

    def test_recomputes_what_runs_by_an_older_version(self, org, other_org):
        rule, other = rule_of(org), rule_of(other_org)
        clocks = [clock_of(each, due_at=AT, started_at=AT - 24 * HOUR) for each in (rule, other)]
        SlaRule.all_orgs.update(version=2, threshold_hours=Decimal(48))

        assert run("recompute", "--org", str(org.pk)).startswith("1 clocks of 1 rules were brought up to date.")
        here, there = (SlaClock.all_orgs.get(pk=clock.pk) for clock in clocks)
        assert (here.due_at, here.rule_version) == (AT + 24 * HOUR, 2)
        assert (there.due_at, there.rule_version) == (AT, 1)

    def test_refuses_to_recompute_a_rule_that_is_not_there(self, org):
        with nothing_changes(), pytest.raises(CommandError, match="There is no such rule"):
            run("recompute", "--rule", "1")
