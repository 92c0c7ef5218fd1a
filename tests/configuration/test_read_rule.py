"""Reading: remembered for a second, right within the writing transaction, seen by every process within seconds."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from flowledger.configuration import reading, services
from flowledger.configuration.models import ConfigValue
from flowledger.configuration.registry import declarations_end_here, declare, value
from flowledger.errors import ScopeError
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope, system_scope
from workstream.rules import UNTOUCHED_HOURS

CHECKOUT = Path(__file__).resolve().parents[2]
SECOND = timedelta(seconds=1)

pytestmark = pytest.mark.django_db(transaction=True)


def set_hours(org: Organization, hours: int, **given: Any) -> ConfigValue:
    arguments = {"reason": "tests", "actor": Actor.system("tests"), "at": now(), **given}
    return services.set_value(org=org, rule_type="sla_rule", key="untouched_hours", value=hours, **arguments)


@contextmanager
def looks(expected: int) -> Iterator[None]:
    """How often the stamp is looked at inside."""
    with CaptureQueriesContext(connection) as captured:
        yield
    found = [query["sql"] for query in captured.captured_queries if "configuration_config" in query["sql"]]
    assert len(found) == expected, found


class TestRemember:
    def test_a_second_read_asks_nobody(self, org: Organization):
        with looks(1):
            assert [UNTOUCHED_HOURS.of(org) for _ in range(50)] == [72] * 50

    def test_what_is_set_is_read_once(self, org: Organization):
        set_hours(org, 48)
        with looks(2):  # the stamp, then the values
            assert [UNTOUCHED_HOURS.of(org) for _ in range(50)] == [48] * 50

    def test_after_a_second_the_stamp_is_looked_at_and_nothing_else(self, org: Organization):
        set_hours(org, 48)
        assert UNTOUCHED_HOURS.of(org) == 48
        time.sleep(reading.TRUSTED_SECONDS + 0.05)
        with looks(1):
            assert [UNTOUCHED_HOURS.of(org) for _ in range(50)] == [48] * 50

    def test_threads_look_once_a_second_together(self, org: Organization):
        assert UNTOUCHED_HOURS.of(org) == 72
        counted: list[int] = []
        time.sleep(reading.TRUSTED_SECONDS + 0.05)
        barrier = threading.Barrier(8)

        def read() -> set[int]:
            try:
                with CaptureQueriesContext(connection) as captured:
                    barrier.wait(5)
                    found = {UNTOUCHED_HOURS.of(org) for _ in range(20)}
                counted.append(sum("configuration_config" in query["sql"] for query in captured.captured_queries))
                return found
            finally:
                connection.close()

        with ThreadPoolExecutor(8) as pool:
            found = [answer.result() for answer in [pool.submit(read) for _ in range(8)]]

        assert found == [{72}] * 8
        assert sum(counted) == 1

    def test_a_failed_look_is_repeated_by_the_next_reader(self, org: Organization, monkeypatch: pytest.MonkeyPatch):
        assert UNTOUCHED_HOURS.of(org) == 72
        time.sleep(reading.TRUSTED_SECONDS + 0.05)
        with pytest.raises(transaction.TransactionManagementError), org_scope(org):
            connection.needs_rollback = True
            UNTOUCHED_HOURS.of(org)
        with looks(1):
            assert UNTOUCHED_HOURS.of(org) == 72

    def test_the_number_of_organisations_is_bounded(self, org: Organization, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(reading, "MOST_ORGANISATIONS", 3)
        with system_scope("tests"):
            many = [Organization.objects.create(name=f"Many {number}") for number in range(5)]
        for each in many:
            UNTOUCHED_HOURS.of(each)

        with looks(0):
            assert [UNTOUCHED_HOURS.of(each) for each in many[2:]] == [72, 72, 72]
        with looks(1):
            UNTOUCHED_HOURS.of(many[0])

    def test_a_read_inside_another_organisation_is_refused(self, org: Organization, other_org: Organization):
        UNTOUCHED_HOURS.of(other_org)
        with org_scope(org), pytest.raises(ScopeError):
            UNTOUCHED_HOURS.of(other_org)

    def test_a_system_scope_may_read_every_organisation(self, org: Organization, other_org: Organization):
        set_hours(org, 48)
        with system_scope("tests"):
            assert (UNTOUCHED_HOURS.of(org), UNTOUCHED_HOURS.of(other_org)) == (48, 72)


class TestOwnTransaction:
    def test_sees_its_change_and_others_do_not(self, org: Organization):
        assert UNTOUCHED_HOURS.of(org) == 72
        seen: list[int] = []

        def look() -> None:
            seen.append(UNTOUCHED_HOURS.of(org))
            connection.close()

        with org_scope(org):
            set_hours(org, 48)
            assert UNTOUCHED_HOURS.of(org) == 48
            set_hours(org, 49)
            assert UNTOUCHED_HOURS.of(org) == 49
            other = threading.Thread(target=look)
            other.start()
            other.join()
        assert seen == [72]
        assert UNTOUCHED_HOURS.of(org) == 49

    def test_at_once_in_every_thread_of_the_process_after_the_commit(self, org: Organization):
        def look() -> int:
            try:
                return UNTOUCHED_HOURS.of(org)
            finally:
                connection.close()

        with ThreadPoolExecutor(1) as pool:
            for hours in range(10, 20):
                set_hours(org, hours)
                assert (UNTOUCHED_HOURS.of(org), pool.submit(look).result()) == (hours, hours)

    def test_a_rolled_back_change_never_was(self, org: Organization):
        with pytest.raises(RuntimeError), org_scope(org):
            set_hours(org, 48)
            assert UNTOUCHED_HOURS.of(org) == 48
            raise RuntimeError
        assert UNTOUCHED_HOURS.of(org) == 72
        with org_scope(org):
            assert UNTOUCHED_HOURS.of(org) == 72

    def test_a_change_that_is_undone_to_a_savepoint_never_was(self, org: Organization):
        with org_scope(org):
            with pytest.raises(RuntimeError), transaction.atomic():
                set_hours(org, 48)
                raise RuntimeError
            assert UNTOUCHED_HOURS.of(org) == 72

    def test_readers_during_writes_never_go_back(self, org: Organization):
        """What a thread has seen it never unsees, while another one writes."""
        stop = threading.Event()

        def read() -> list[int]:
            seen: list[int] = []
            try:
                while not stop.is_set():
                    seen.append(UNTOUCHED_HOURS.of(org))
            finally:
                connection.close()
            return seen

        with ThreadPoolExecutor(4) as pool:
            readers = [pool.submit(read) for _ in range(4)]
            for hours in range(100, 120):
                set_hours(org, hours)
                assert UNTOUCHED_HOURS.of(org) == hours
            stop.set()
            for reader in readers:
                grown = [hours for hours in reader.result() if hours != 72]
                assert grown == sorted(grown)


class TestPlanned:
    def test_takes_effect_and_ends_by_itself(self, org: Organization):
        start = now() + SECOND
        set_hours(org, 48, effective_from=start, effective_to=start + SECOND)
        assert UNTOUCHED_HOURS.of(org) == 72
        seen = set()
        while now() < start + 1.5 * SECOND:
            seen.add((UNTOUCHED_HOURS.of(org), round((now() - start).total_seconds(), 1)))
            time.sleep(0.05)

        for hours, offset in seen:
            if not (-0.1 <= offset <= 0.1 or 0.9 <= offset <= 1.1):
                assert hours == (48 if 0 < offset < 1 else 72), offset
        assert {hours for hours, _ in seen} == {48, 72}

    def test_without_another_look_at_the_values(self, org: Organization):
        set_hours(org, 48, effective_from=now() + 0.3 * SECOND)
        assert UNTOUCHED_HOURS.of(org) == 72
        with looks(0):
            time.sleep(0.4)
            assert UNTOUCHED_HOURS.of(org) == 48


class TestOtherProcesses:
    def test_see_a_change_within_seconds(self, org: Organization):
        watcher = subprocess.Popen(
            [sys.executable, "-m", "tests.configuration.watcher", connection.settings_dict["NAME"], str(org.pk), "25"],
            cwd=CHECKOUT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert watcher.stdout is not None
        try:
            assert watcher.stdout.readline().split()[1] == "72"
            for hours in (48, 24):
                before = time.time()
                set_hours(org, hours)
                at, seen = watcher.stdout.readline().split()
                assert seen == str(hours)
                assert float(at) - before < 3
        finally:
            watcher.kill()
            watcher.wait()


class TestOlderRelease:
    def test_a_value_that_is_not_understood_leaves_the_default(self, org: Organization):
        with declarations_end_here():
            declare("memory_rule", "shape", schema=str, default="round", help="For tests.")
            services.set_value(
                org=org,
                rule_type="memory_rule",
                key="shape",
                value="square",
                reason="tests",
                actor=Actor.system("tests"),
                at=now(),
            )
            assert value(org, "memory_rule", "shape") == "square"
        with declarations_end_here():
            declare("memory_rule", "shape", schema=int, default=4, help="For tests.")
            reading.forget_everything()
            assert value(org, "memory_rule", "shape") == 4
