"""Counts of the pipeline, the trail of an item, engagements."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils.timezone import now

from tests.workstream.factories import (
    AT,
    CLERK,
    CandidateFactory,
    EngagementFactory,
    PursuitFactory,
    SignalFactory,
    open_pursuit,
)
from workstream import services
from workstream.models import Signal

pytestmark = pytest.mark.django_db


def stats(client: Any) -> Any:
    return client.get("/api/workstream/stats").json()


class TestStats:
    def test_counts_everything_and_the_last_seven_days(self, org, other_org, as_viewer):
        CandidateFactory.create_batch(2, org=org)
        PursuitFactory(org=org)  # with a candidate of its own
        SignalFactory.create_batch(3, org=org)
        SignalFactory(org=other_org)
        old = SignalFactory(org=org)
        Signal.all_orgs.filter(pk=old.pk).update(created_at=now() - timedelta(days=8))

        assert stats(as_viewer) == {
            "signals": {"total": 4, "recent": 3},
            "candidates": {"total": 3, "recent": 3},
            "pursuits": {"total": 1, "recent": 1},
        }

    def test_an_empty_organisation_has_zeros(self, as_stranger):
        assert {counts["total"] for counts in stats(as_stranger).values()} == {0}


class TestTrail:
    def test_tells_who_did_what_through_which_door(self, org, rep, as_rep):
        pursuit = open_pursuit(org, owner=rep.user)
        as_rep.post(f"/api/pursuits/{pursuit.pk}/stage", {"stage": "pink"}, headers={"X-Request-Id": "call-7"})
        (newest, *_) = as_rep.get(f"/api/workstream/events?item_type=pursuit&item_id={pursuit.pk}").json()["data"]

        assert (newest["event_name"], newest["origin"]) == ("pursuit.stage_changed", "api")
        assert (newest["actor_kind"], newest["actor_label"]) == ("user", "rita")
        assert newest["correlation_id"] == "call-7"
        assert newest["payload"]["stage"] == "pink"
        assert newest["org_id"] == org.pk

    def test_filters_by_name_and_origin(self, org, as_viewer):
        services.create_candidate(org=org, fields={"title": "Press"}, actor=CLERK, at=AT)

        def found(query: str) -> int:
            return len(as_viewer.get(f"/api/workstream/events?{query}").json()["data"])

        assert found("event_name=candidate.created&origin=system") == 1
        assert found("event_name=candidate.created&origin=import") == 0
        assert as_viewer.get("/api/workstream/events?origin=moon").status_code == 400


class TestEngagements:
    def test_are_listed_newest_first(self, org, other_org, as_viewer):
        old, new = (EngagementFactory(org=org, started_on=AT.date() + timedelta(days=days)) for days in (0, 1))
        EngagementFactory(org=other_org)
        listed = as_viewer.get("/api/engagements").json()["data"]

        assert [row["engagement_id"] for row in listed] == [new.pk, old.pk]
        assert as_viewer.get(f"/api/engagements/{old.pk}").json() == listed[1]
        assert listed[1]["value"] == "50000.00"

    def test_a_strangers_does_not_exist(self, other_org, as_viewer):
        engagement = EngagementFactory(org=other_org)
        assert as_viewer.get(f"/api/engagements/{engagement.pk}").status_code == 404
