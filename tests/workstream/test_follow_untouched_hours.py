"""Running touch clocks follow the hours that an item may go untouched, at once or when a planned value's time comes."""

from __future__ import annotations

import threading
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.utils.timezone import now

from flowledger.configuration import reading
from flowledger.configuration.announcing import announce_changes
from flowledger.configuration.services import set_value
from flowledger.errors import PermissionRefused
from flowledger.outbox.drain import drain_all
from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope, system_scope
from tests.configuration.test_announce_changes import hours_pass
from tests.workstream.conftest import actor_of
from tests.workstream.factories import CLERK, open_candidate, open_pursuit
from tests.workstream.panel import row_of
from tests.workstream.test_run_clocks import clock_of, clocks_of
from tests.workstream.test_start_missing_clocks import waits_for_a_row
from tests.workstream.trail import at_once, nothing_changes
from workstream import services
from workstream.models import SlaClock
from workstream.models.today import Badge
from workstream.services.sla_sweep import sweep

HOUR = timedelta(hours=1)


def set_hours(org: Organization, hours: float, **given: Any) -> None:
    arguments = {"reason": "tests", "actor": CLERK, "at": now(), **given}
    set_value(org=org, rule_type="sla_rule", key="untouched_hours", value=hours, **arguments)


def drained() -> None:
    result = drain_all()
    assert (result.failed, result.dead) == (0, 0)


@pytest.mark.django_db
class TestFollow:
    def test_running_touch_clocks_warn_so_long_after_they_began(self, org: Organization, other_org: Organization):
        began = now() - 2 * HOUR
        candidate, pursuit = open_candidate(org, status="nurture", at=began), open_pursuit(org, at=began)
        over, stranger = open_candidate(org, status="archived", at=began), open_candidate(other_org, at=began)
        ended = clock_of(over, "touch").warn_at

        set_hours(org, 24)
        drained()

        for item in (candidate, pursuit):
            assert clock_of(item, "touch").warn_at == began + 24 * HOUR
        assert clock_of(over, "touch").warn_at == ended
        assert clock_of(stranger, "touch").warn_at == began + 72 * HOUR

    def test_a_warning_that_would_not_be_due_is_taken_back_and_the_panel_follows(self, org: Organization):
        candidate = open_candidate(org, status="triaged", at=now() - 80 * HOUR)
        sweep(at=now())
        drained()
        assert row_of(candidate).badge == Badge.AMBER

        set_hours(org, 100)
        drained()

        assert clock_of(candidate, "touch").warned_at is None
        assert row_of(candidate).badge == Badge.GREEN

    def test_what_is_due_by_now_is_left_to_the_sweep(self, org: Organization):
        candidate = open_candidate(org, status="triaged", at=now() - 50 * HOUR)
        drained()
        assert row_of(candidate).badge == Badge.GREEN

        set_hours(org, 48)
        drained()
        assert clock_of(candidate, "touch").warned_at is None
        assert sweep(at=now()).warned == 1
        drained()

        assert row_of(candidate).badge == Badge.AMBER

    def test_a_warning_that_stays_due_stays_and_is_not_told_of_again(self, org: Organization):
        candidate = open_candidate(org, status="triaged", at=now() - 80 * HOUR)
        sweep(at=now())
        warned_at = clock_of(candidate, "touch").warned_at

        set_hours(org, 48)
        drained()

        assert clock_of(candidate, "touch").warned_at == warned_at
        assert sweep(at=now()).warned == 0

    def test_goes_batch_by_batch(self, org: Organization):
        began = now() - HOUR
        for _ in range(5):
            open_candidate(org, at=began)
        drained()
        set_hours(org, 10)
        steps = {"org": org, "actor": CLERK, "at": now(), "batch": 2}

        first = services.recompute_touch_clocks(**steps)

        assert (first.clocks, first.is_done) == (2, False)
        moved = SlaClock.all_orgs.filter(org=org, metric="touch", warn_at=began + 10 * HOUR)
        assert moved.count() == 2
        drained()
        assert moved.all().count() == 5

    def test_again_moves_nothing(self, org: Organization):
        open_candidate(org)
        set_hours(org, 10)
        drained()

        with nothing_changes():
            assert services.recompute_touch_clocks(org=org, actor=CLERK, at=now()).is_done

    def test_another_key_moves_nothing(self, org: Organization):
        candidate = open_candidate(org)
        set_value(org=org, rule_type="sla_rule", key="response_hours", value=9, reason="tests", actor=CLERK, at=now())
        before = clock_of(candidate, "touch")

        drained()

        assert clock_of(candidate, "touch").row_version == before.row_version
        assert not WorkEvent.all_orgs.filter(org=org, event_name="sla.touch_recompute_continued").exists()

    def test_is_for_whoever_may_edit_rules(self, org: Organization, rep: Any):
        with pytest.raises(PermissionRefused):
            services.recompute_touch_clocks(org=org, actor=actor_of(rep), at=now())


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("transactional_db")
class TestCommitted:
    def test_a_planned_value_moves_them_when_its_time_comes(self, org: Organization):
        began = now() - HOUR
        candidate = open_candidate(org, at=began)
        set_hours(org, 24, effective_from=now() + 5 * HOUR)
        drained()
        announce_changes(at=now())
        drained()
        with system_scope("tests"):
            assert clock_of(candidate, "touch").warn_at == began + 72 * HOUR

        hours_pass(5, org)
        assert announce_changes(at=now()) == 1
        drained()

        with system_scope("tests"):
            assert clock_of(candidate, "touch").warn_at == began + 24 * HOUR

    def test_beside_touches_every_clock_ends_up_right(self, org: Organization):
        began = now() - 5 * HOUR
        items = [open_candidate(org, at=began) for _ in range(6)]
        set_hours(org, 10)
        reading.forget_everything()
        what = {"org": org, "item_type": "candidate", "kind": "call", "summary": "Called", "actor": CLERK}
        recompute = partial(services.recompute_touch_clocks, org=org, actor=CLERK, at=now(), batch=2)

        answers = at_once(
            recompute,
            recompute,
            *[partial(services.log_activity, item_id=item.pk, at=began + HOUR, **what) for item in items[:3]],
        )
        drained()

        assert not [each for each in answers if isinstance(each, Exception)]
        with system_scope("tests"):
            starts = [began + HOUR] * 3 + [began] * 3
            found = [(clock.started_at, clock.warn_at) for item in items for clock in clocks_of(item, "touch")]
            assert found == [(start, start + 10 * HOUR) for start in starts]

    def test_waits_for_the_last_one_that_somebody_holds(self, org: Organization):
        candidate = open_candidate(org, at=now())
        set_hours(org, 10)
        reading.forget_everything()
        held, finish = threading.Event(), threading.Event()

        def hold() -> None:
            with org_scope(org):
                SlaClock.objects.for_org(org).filter(candidate=candidate, metric="touch").locked().get()
                held.set()
                finish.wait(timeout=30)

        def recompute() -> Any:
            held.wait(timeout=30)
            return services.recompute_touch_clocks(org=org, actor=CLERK, at=now())

        def watch() -> bool:
            held.wait(timeout=30)
            try:
                return waits_for_a_row()
            finally:
                finish.set()

        answers = at_once(hold, recompute, watch)

        assert answers[2] is True
        assert answers[1].clocks == 1
        with system_scope("tests"):
            clock = clock_of(candidate, "touch")
            assert clock.warn_at == clock.started_at + 10 * HOUR
