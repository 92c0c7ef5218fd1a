"""A planned value tells of itself when its time comes: once, and never before it can be read."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils.timezone import now

from flowledger.configuration import reading, services, sql
from flowledger.configuration.announcing import announce_changes
from flowledger.configuration.models import ConfigValue
from flowledger.configuration.registry import value
from flowledger.configuration.tasks import announce_changes as task
from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope, system_scope
from tests.workstream.trail import at_once

pytestmark = pytest.mark.django_db(transaction=True)

ACTOR = Actor.system("tests")
SOON = timedelta(hours=1)
LATER = timedelta(hours=9)


def put(org: Organization, hours: int, **given: Any) -> ConfigValue:
    arguments = {"reason": "tests", "actor": ACTOR, "at": now(), **given}
    return services.set_value(org=org, rule_type="sla_rule", key="untouched_hours", value=hours, **arguments)


def told(org: Organization) -> list[tuple[int, bool]]:
    """Version and whether it ended, of every event that says that a time has come."""
    with org_scope(org):
        rows = WorkEvent.objects.for_org(org).filter(event_name="config.took_effect").order_by("pk")
        return [(row.payload["version"], row.payload["has_ended"]) for row in rows]


def waiting(org: Organization) -> dict[int, datetime]:
    """What has yet to be told of, by version."""
    with org_scope(org):
        rows = ConfigValue.objects.for_org(org).exclude(announce_at=None)
        return dict(rows.values_list("version", "announce_at"))


def hours_pass(number: float, *orgs: Organization) -> None:
    """Everything was written so much earlier; past the trigger, which keeps the times as they are."""
    trigger = "ALTER TABLE configuration_configvalue {} TRIGGER config_value_is_kept"
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(trigger.format("DISABLE"))
        with system_scope("tests"):
            rows = ConfigValue.all_orgs.filter(org__in=orgs).order_by("effective_from", "version")
            for key in list(rows.values_list("pk", flat=True)):
                cursor.execute(
                    "UPDATE configuration_configvalue SET effective_from = effective_from - %(by)s,"
                    " effective_to = effective_to - %(by)s, announce_at = announce_at - %(by)s WHERE id = %(key)s",
                    {"by": timedelta(hours=number), "key": key},
                )
        cursor.execute(trigger.format("ENABLE"))
    reading.forget_everything()


class TestAnnounce:
    def test_what_holds_at_once_is_told_of_once_as_it_is_made(self, org: Organization):
        put(org, 48)

        assert announce_changes(at=now()) == 0
        assert (told(org), waiting(org)) == ([], {})

    def test_a_planned_value_is_told_of_when_its_time_has_come_and_never_again(self, org: Organization):
        row = put(org, 48, effective_from=now() + SOON)
        assert announce_changes(at=now()) == 0
        hours_pass(1, org)

        assert announce_changes(at=now()) == 1
        assert announce_changes(at=now() + LATER) == 0
        assert (told(org), waiting(org)) == ([(1, False)], {})
        with org_scope(org):
            event = WorkEvent.objects.for_org(org).get(event_name="config.took_effect")
        assert (event.item_type, event.item_id) == ("config_value", row.pk)
        assert event.payload == {
            "config_value_id": row.pk,
            "rule_type": "sla_rule",
            "key": "untouched_hours",
            "version": 1,
            "has_ended": False,
            "effective_at": (row.effective_from - SOON).astimezone(UTC).isoformat(),
        }

    def test_whoever_hears_of_it_reads_the_new_value(self, org: Organization):
        assert value(org, "sla_rule", "untouched_hours") == 72
        put(org, 48, effective_from=now() + timedelta(seconds=1))
        time.sleep(1)

        assert announce_changes(at=now()) == 1
        assert value(org, "sla_rule", "untouched_hours") == 48
        reading.forget_everything()
        assert value(org, "sla_rule", "untouched_hours") == 48

    def test_a_clock_that_runs_ahead_of_the_database_announces_nothing_early(self, org: Organization):
        put(org, 48, effective_from=now() + LATER)

        assert announce_changes(at=now() + 2 * LATER) == 0

    def test_an_end_brings_the_default_back_and_is_told_of(self, org: Organization):
        put(org, 48, effective_to=now() + SOON)
        assert list(waiting(org)) == [1]
        hours_pass(1, org)

        announce_changes(at=now())

        assert told(org) == [(1, True)]
        assert value(org, "sla_rule", "untouched_hours") == 72

    def test_begin_and_end_that_have_both_passed_are_both_told_of(self, org: Organization):
        start = now() + SOON
        put(org, 48, effective_from=start, effective_to=start + SOON / 2)
        hours_pass(2, org)

        while announce_changes(at=now()):
            pass

        assert told(org) == [(1, False), (1, True)]

    def test_what_goes_on_after_an_interruption_tells_of_itself_and_the_end_before_it_does_not(self, org: Organization):
        put(org, 48)
        put(org, 24, effective_to=now() + SOON)
        hours_pass(1, org)

        announce_changes(at=now())

        assert told(org) == [(3, False)]
        assert value(org, "sla_rule", "untouched_hours") == 48
        assert waiting(org) == {}

    def test_what_was_replaced_before_it_began_says_nothing(self, org: Organization):
        put(org, 48, effective_from=now() + SOON)
        put(org, 24)
        hours_pass(1, org)

        assert announce_changes(at=now()) == 0
        assert waiting(org) == {}

    def test_an_end_that_a_later_version_brings_forward_is_that_versions_to_tell(self, org: Organization):
        put(org, 48, effective_to=now() + LATER)
        put(org, 24, effective_from=now() + SOON)
        assert list(waiting(org)) == [2]
        hours_pass(1, org)

        announce_changes(at=now())

        assert told(org) == [(2, False)]

    def test_more_than_a_batch_of_several_organisations(self, org: Organization, other_org: Organization):
        start = now() + 2 * SOON
        for each in (org, other_org):
            put(each, 48, effective_from=start)
            services.set_value(
                org=each,
                rule_type="sla_rule",
                key="response_hours",
                value=9,
                reason="tests",
                effective_from=start,
                actor=ACTOR,
                at=now(),
            )
        hours_pass(2, org, other_org)

        assert announce_changes(at=now(), limit=1) == 4
        assert [len(told(org)), len(told(other_org))] == [2, 2]

    def test_four_at_once_tell_of_each_once(self, org: Organization):
        for round_ in range(3):
            put(org, 40 + round_, effective_from=now() + SOON)
            hours_pass(1, org)

            answers = at_once(*[partial(announce_changes, at=now())] * 4)

            assert sorted(answers) == [0, 0, 0, 1]
        assert told(org) == [(1, False), (2, False), (3, False)]

    def test_leaves_what_a_writer_holds_for_the_next_time(self, org: Organization):
        row = put(org, 48, effective_from=now() + SOON)
        hours_pass(1, org)

        with org_scope(org):
            ConfigValue.objects.for_org(org).locked().get(pk=row.pk)
            (answer,) = at_once(partial(announce_changes, at=now()))

        assert answer == 0
        assert announce_changes(at=now()) == 1

    def test_the_task_reads_the_clock(self, org: Organization):
        put(org, 48, effective_from=now() + SOON)
        hours_pass(1, org)

        task()

        assert told(org) == [(1, False)]

    @pytest.mark.parametrize("column", ["value = '1'", "effective_from = now()", "reason = 'x'", "version = 9"])
    def test_everything_else_of_a_version_is_still_kept_as_it_was(self, org: Organization, column: str):
        put(org, 48, effective_from=now() + LATER)

        with (
            pytest.raises(DatabaseError, match="kept as it was"),
            system_scope("tests"),
            connection.cursor() as cursor,
        ):
            cursor.execute(f"UPDATE configuration_configvalue SET announce_at = NULL, {column}")

    def test_looking_reads_the_index_of_what_is_to_come(self, org: Organization):
        put(org, 48, effective_from=now() + LATER)

        with system_scope("tests"), connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute(f"EXPLAIN {sql._TAKE_COME}", {"at": now(), "limit": 500})
            plan = "\n".join(line for (line,) in cursor.fetchall())
        assert "config_value_announce" in plan
