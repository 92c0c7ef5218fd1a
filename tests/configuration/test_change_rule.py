"""Setting, ending and rolling back: ranges that never overlap, facts that stay, events, permissions, two at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils.timezone import now

from flowledger.configuration import reports, services
from flowledger.configuration.models import Change, ConfigStamp, ConfigValue
from flowledger.configuration.registry import Key, value
from flowledger.errors import Conflict, FlowLedgerError, InvalidInput, NotFound, PermissionRefused
from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.actors import Actor, Role
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope
from tests.configuration.limits import Limits

AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)

pytestmark = pytest.mark.django_db


@pytest.fixture
def change(org: Organization, admin: Actor, limits: Key[Limits]) -> Any:
    """Set the limit, with defaults for everything else."""

    def set_to(most: int, **given: Any) -> ConfigValue:
        arguments = {"reason": f"{most} is right", "at": AT, "actor": admin, **given}
        return services.set_value(org=org, rule_type="memory_rule", key="limits", value={"most": most}, **arguments)

    return set_to


def ranges(org: Organization) -> list[tuple[int, str, int | None, int, int | None]]:
    """(version, change, most, first day, last day) of every range that is not empty, by time; days count from AT."""
    with org_scope(org):
        return [
            (
                row.version,
                str(row.change),
                row.value and row.value["most"],
                (row.effective_from - AT).days,
                row.effective_to and (row.effective_to - AT).days,
            )
            for row in ConfigValue.objects.for_org(org).order_by("effective_from", "version")
            if not row.never_began
        ]


def stored(org: Organization) -> list[Any]:
    """Everything that a refused change must leave as it is."""
    with org_scope(org):
        return [
            list(ConfigValue.objects.for_org(org).order_by("pk").values()),
            list(ConfigStamp.objects.for_org(org).values("version")),
            WorkEvent.objects.for_org(org).count(),
        ]


class TestSetValue:
    def test_takes_effect_at_once_with_who_and_why(self, org: Organization, admin: Actor, change: Any):
        row = change(7)

        assert value(org, "memory_rule", "limits") == Limits(most=7)
        assert (row.version, row.change, row.value) == (1, Change.SET, {"most": 7, "names": []})
        assert (row.changed_by_label, row.changed_by_kind, row.changed_at) == ("Ada", "system", AT)
        assert (row.effective_from, row.effective_to, row.reason) == (AT, None, "7 is right")

    def test_tells_of_it_in_the_same_write(self, org: Organization, change: Any):
        row = change(7)

        with org_scope(org):
            (event,) = WorkEvent.objects.for_org(org)
        assert (event.event_name, event.item_type, event.item_id) == ("config.changed", "config_value", row.pk)
        assert event.payload == {
            "config_value_id": row.pk,
            "rule_type": "memory_rule",
            "key": "limits",
            "version": 1,
            "change": "set",
            "effective_from": AT.isoformat(),
            "effective_to": None,
            "reason": "7 is right",
        }

    def test_a_later_value_ends_the_one_before(self, org: Organization, change: Any):
        change(7)
        change(8, at=AT + DAY)

        assert ranges(org) == [(1, "set", 7, 0, 1), (2, "set", 8, 1, None)]

    def test_a_planned_value_waits(self, org: Organization, change: Any):
        change(8, effective_from=now() + DAY)

        assert value(org, "memory_rule", "limits") == Limits(most=10)

    def test_without_an_end_it_replaces_what_was_planned(self, org: Organization, change: Any):
        change(7)
        planned = change(8, effective_from=AT + 3 * DAY)
        change(9, at=AT + DAY)

        assert ranges(org) == [(1, "set", 7, 0, 1), (3, "set", 9, 1, None)]
        with org_scope(org):
            planned.refresh_from_db()
        assert planned.never_began
        assert planned.value["most"] == 8

    def test_with_an_end_it_interrupts_and_the_rest_goes_on(self, org: Organization, change: Any):
        change(7)
        change(9, effective_from=AT + 2 * DAY, effective_to=AT + 4 * DAY)

        assert ranges(org) == [(1, "set", 7, 0, 2), (2, "set", 9, 2, 4), (3, "continued", 7, 4, None)]

    def test_it_takes_only_its_own_time_from_a_plan(self, org: Organization, change: Any):
        change(8, effective_from=AT + 2 * DAY, effective_to=AT + 6 * DAY)
        change(9, effective_from=AT + 1 * DAY, effective_to=AT + 4 * DAY)

        assert ranges(org) == [(2, "set", 9, 1, 4), (3, "continued", 8, 4, 6)]

    def test_each_part_tells_of_itself(self, org: Organization, change: Any):
        change(7)
        change(9, effective_from=AT + 2 * DAY, effective_to=AT + 4 * DAY)

        with org_scope(org):
            told = WorkEvent.objects.for_org(org).order_by("pk").values_list("payload__version", "payload__change")
            assert list(told) == [(1, "set"), (2, "set"), (3, "continued")]

    @pytest.mark.parametrize(
        ("given", "error", "field"),
        [
            ({"most": 0}, InvalidInput, "value.most"),
            ({"effective_from": AT - timedelta(seconds=1)}, InvalidInput, "effective_from"),
            ({"effective_to": AT}, InvalidInput, "effective_to"),
            ({"effective_from": AT + DAY, "effective_to": AT + DAY}, InvalidInput, "effective_to"),
            ({"reason": "  "}, InvalidInput, "reason"),
            ({"reason": "x" * 1001}, InvalidInput, "reason"),
            ({"expected_version": 0}, Conflict, None),
            ({"expected_version": 2}, Conflict, None),
        ],
    )
    def test_a_refusal_changes_nothing(
        self, org: Organization, change: Any, given: dict[str, Any], error: type[FlowLedgerError], field: str | None
    ):
        change(7)
        before = stored(org)

        with pytest.raises(error) as refused:
            change(given.pop("most", 8), **given)

        assert stored(org) == before
        assert value(org, "memory_rule", "limits") == Limits(most=7)
        assert field is None or field in refused.value.details["fields"]

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.REP, Role.MANAGER])
    def test_needs_an_administrator(self, org: Organization, admin: Actor, change: Any, role: Role):
        with pytest.raises(PermissionRefused):
            change(7, actor=replace(admin, role=role))

        assert stored(org) == [[], [], 0]

    def test_an_unknown_key_is_refused(self, org: Organization, admin: Actor):
        with pytest.raises(NotFound):
            services.set_value(org=org, rule_type="memory_rule", key="limits", value=1, reason="x", actor=admin, at=AT)

    def test_the_conflict_says_who_and_what(self, change: Any):
        change(7)
        with pytest.raises(Conflict, match="was changed by Ada meanwhile: version 1 is there and you know version 0"):
            change(8, expected_version=0)


class TestEndValue:
    def test_brings_the_default_back(self, org: Organization, admin: Actor, change: Any):
        change(7)
        change(8, effective_from=now() + DAY)
        row = services.end_value(
            org=org, rule_type="memory_rule", key="limits", reason="enough", actor=admin, at=AT + DAY
        )

        assert value(org, "memory_rule", "limits") == Limits(most=10)
        assert (row.version, row.change, row.value) == (3, Change.ENDED, None)
        assert ranges(org) == [(1, "set", 7, 0, 1), (3, "ended", None, 1, None)]

    def test_can_be_planned(self, org: Organization, admin: Actor, change: Any):
        change(7)
        services.end_value(
            org=org,
            rule_type="memory_rule",
            key="limits",
            reason="enough",
            effective_from=now() + DAY,
            actor=admin,
            at=AT,
        )

        assert value(org, "memory_rule", "limits") == Limits(most=7)

    def test_there_must_be_something_to_end(self, org: Organization, admin: Actor, limits: Key[Limits]):
        with pytest.raises(Conflict, match="the default holds already"):
            services.end_value(org=org, rule_type="memory_rule", key="limits", reason="x", actor=admin, at=AT)

        assert stored(org) == [[], [], 0]


class TestRollBack:
    def roll_back(self, org: Organization, admin: Actor, to: int, **given: Any) -> ConfigValue:
        arguments = {"reason": "it was better", "at": AT + 2 * DAY, "actor": admin, **given}
        return services.roll_back(org=org, rule_type="memory_rule", key="limits", to_version=to, **arguments)

    def test_makes_a_new_version_of_an_earlier_value(self, org: Organization, admin: Actor, change: Any):
        change(7)
        change(8, at=AT + DAY)
        row = self.roll_back(org, admin, 1)

        assert (row.version, row.change, row.of_version, row.value["most"]) == (3, Change.ROLLED_BACK, 1, 7)
        assert value(org, "memory_rule", "limits") == Limits(most=7)
        assert ranges(org) == [(1, "set", 7, 0, 1), (2, "set", 8, 1, 2), (3, "rolled_back", 7, 2, None)]

    def test_version_zero_is_the_default(self, org: Organization, admin: Actor, change: Any):
        change(7)

        assert self.roll_back(org, admin, 0).value is None
        assert value(org, "memory_rule", "limits") == Limits(most=10)

    def test_a_version_that_is_not_there_is_refused(self, org: Organization, admin: Actor, change: Any):
        change(7)
        before = stored(org)
        with pytest.raises(NotFound, match="has no version 5"):
            self.roll_back(org, admin, 5)

        assert stored(org) == before

    def test_a_stale_look_is_refused(self, org: Organization, admin: Actor, change: Any):
        change(7)
        change(8, at=AT + DAY)
        before = stored(org)
        with pytest.raises(Conflict):
            self.roll_back(org, admin, 1, expected_version=1)

        assert stored(org) == before


class TestHistory:
    def test_shows_who_when_why_and_what(self, org: Organization, admin: Actor, change: Any):
        change(7)
        change(8, at=AT + DAY)
        services.end_value(org=org, rule_type="memory_rule", key="limits", reason="x", actor=admin, at=AT + 2 * DAY)

        with org_scope(org):
            found = reports.history(org, list(reports.versions(org, rule_type="memory_rule", key="limits")))

        assert [
            (each.row.version, [(one.path, one.before, one.after) for one in each.differences]) for each in found
        ] == [
            (3, [("value.most", 8, 10)]),
            (2, [("value.most", 7, 8)]),
            (1, [("value.most", 10, 7)]),
        ]

    @pytest.mark.parametrize(
        ("before", "after", "found"),
        [
            (1, 1, []),
            (1, 2, [("value", 1, 2)]),
            ({"a": 1, "b": 2}, {"a": 1, "c": 3}, [("value.c", None, 3), ("value.b", 2, None)]),
            ([1, {"x": 1}], [1, {"x": 2}, 3], [("value.1.x", 1, 2), ("value.2", None, 3)]),
            ([1, 2], [1], [("value.1", 2, None)]),
            ({"a": [1]}, {"a": {"b": 1}}, [("value.a", [1], {"b": 1})]),
        ],
    )
    def test_differences_name_their_place(self, before: Any, after: Any, found: Any):
        assert [(one.path, one.before, one.after) for one in reports.differences(before, after)] == found


class TestFacts:
    @pytest.mark.parametrize(
        "statement",
        [
            """UPDATE configuration_configvalue SET value = '{"most": 99}'""",
            "UPDATE configuration_configvalue SET effective_from = effective_from - interval '1 day'",
            "UPDATE configuration_configvalue SET reason = 'other'",
            "UPDATE configuration_configvalue SET effective_to = NULL",
            "UPDATE configuration_configvalue SET effective_to = effective_to + interval '1 day'",
            "DELETE FROM configuration_configvalue",
        ],
    )
    def test_what_was_set_stays(self, org: Organization, change: Any, statement: str):
        change(7, effective_to=AT + DAY)
        before = stored(org)

        with (
            org_scope(org),
            pytest.raises(DatabaseError, match="kept as it was"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(f"{statement}")

        assert stored(org) == before

    def test_ranges_of_a_key_do_not_overlap(self, org: Organization, change: Any):
        row = change(7)
        row.pk, row.version, row._state.adding = None, 2, True
        row.effective_from = AT + DAY

        with org_scope(org), pytest.raises(IntegrityError, match="config_value_no_overlap"), transaction.atomic():
            row.save()

    def test_ranges_that_meet_are_no_overlap(self, org: Organization, change: Any):
        row = change(7, effective_to=AT + DAY)
        row.pk, row.version, row._state.adding = None, 2, True
        row.effective_from, row.effective_to = AT + DAY, None
        with org_scope(org):
            row.save()

        assert ranges(org) == [(1, "set", 7, 0, 1), (2, "set", 7, 1, None)]

    def test_another_organisation_sees_nothing(self, org: Organization, other_org: Organization, change: Any):
        change(7)

        assert value(other_org, "memory_rule", "limits") == Limits(most=10)
        with org_scope(other_org):
            assert reports.entry_of(other_org, rule_type="memory_rule", key="limits", at=now()).source == "default"
            assert not ConfigValue.all_orgs.exists()


@pytest.mark.django_db(transaction=True)
class TestTwoAtOnce:
    def test_one_wins_and_the_other_is_told(self, org: Organization, admin: Actor, limits: Key[Limits]):
        barrier = threading.Barrier(2)

        def attempt(most: int) -> str:
            try:
                barrier.wait(5)
                services.set_value(
                    org=org,
                    rule_type="memory_rule",
                    key="limits",
                    value={"most": most},
                    reason="race",
                    expected_version=0,
                    actor=admin,
                    at=now(),
                )
            except Conflict as refused:
                return f"{refused.details['expected_version']} < {refused.details['current_version']}"
            else:
                return f"set {most}"
            finally:
                connection.close()

        with ThreadPoolExecutor(2) as pool:
            answers = sorted(pool.map(attempt, (3, 4)))

        assert answers[0] == "0 < 1"
        assert answers[1] in {"set 3", "set 4"}
        assert value(org, "memory_rule", "limits") == Limits(most=int(answers[1][-1]))
        with org_scope(org):
            assert ConfigValue.objects.for_org(org).count() == 1
            assert WorkEvent.objects.for_org(org).count() == 1

    def test_without_a_version_both_stay_in_order(self, org: Organization, admin: Actor, limits: Key[Limits]):
        def attempt(most: int) -> None:
            try:
                services.set_value(
                    org=org,
                    rule_type="memory_rule",
                    key="limits",
                    value={"most": most},
                    reason="race",
                    actor=admin,
                    at=now(),
                )
            finally:
                connection.close()

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(attempt, range(1, 13)))

        with org_scope(org):
            rows = list(ConfigValue.objects.for_org(org).order_by("version"))
        assert [row.version for row in rows] == list(range(1, 13))
        assert value(org, "memory_rule", "limits") == Limits(most=rows[-1].value["most"])
