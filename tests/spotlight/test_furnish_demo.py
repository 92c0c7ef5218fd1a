"""The demonstration's profiles: believable, of use on its own signals, and in nobody's way."""

from __future__ import annotations

import pytest
from django.utils.timezone import now

from flowledger.outbox.drain import drain_all
from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.actors import Origin
from spotlight.demo import FIELDS, PROFILES, RULES, furnish
from spotlight.models import FieldRule, Spotlight, SpotlightField, SpotlightFit
from spotlight.services.definitions import active_profiles
from tests.workstream.conftest import actor_of
from workstream.demo.organization import ensure_demo_organization
from workstream.demo.playing import SIGNALS, play
from workstream.models import Pursuit

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("db", "crossing")]


class TestFurnishing:
    def test_the_demo_company_has_profiles_that_tell_its_signals_apart(self):
        org = ensure_demo_organization(at=now()).org
        assert set(Spotlight.all_orgs.filter(org=org).values_list("name", flat=True)) == set(PROFILES)
        assert SpotlightField.all_orgs.filter(org=org).count() == len(FIELDS)
        assert FieldRule.all_orgs.filter(org=org).count() == len(RULES)
        assert len(active_profiles(org)) == 3
        drain_all()
        bands = SpotlightFit.all_orgs.filter(org=org, signal__isnull=False).values_list("recommendation", flat=True)
        assert set(bands) >= {"high_match", "medium_match", "low_match"}
        assert set(WorkEvent.all_orgs.filter(org=org).values_list("origin", flat=True)) == {Origin.IMPORT}

    def test_the_main_job_goes_on_with_the_candidate_that_the_score_has_opened(self, org, manager, rep):
        furnish(org=org, manager=actor_of(manager), at=now())
        steps = {step.name: step.happened for step in play(org=org, path=SIGNALS, rep=actor_of(rep), clock=now)}
        pursuit = Pursuit.all_orgs.get(org=org)
        candidate = pursuit.candidate
        assert steps["score"] == f"fit {candidate.icp_score} (high); the score opened candidate #{candidate.pk}"
        assert (pursuit.stage, pursuit.client.name, candidate.owner) == ("won", "Harrowmill Beverages", rep.user)
        assert candidate.signals.count() == 3
