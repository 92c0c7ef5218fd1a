"""Log lines of handlers carry the event, the organisation, the request and the worker, without anybody binding them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
import structlog

from flowledger import logs
from flowledger.outbox.causes import bind_correlation
from flowledger.outbox.drain import drain_all
from flowledger.outbox.registry import Delivery, handler
from tests.architecture.source import CHECKOUT
from tests.outbox.parcels import change_delivery

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_handlers")]

log = structlog.get_logger("tests.parcels")


def lines(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, Any]]:
    """What was logged under this name."""
    return [record.msg for record in caplog.records if isinstance(record.msg, dict) and record.msg["event"] == event]


@pytest.fixture(autouse=True)
def everything(caplog):
    """All lines, with nothing bound by the request of a test before."""
    caplog.set_level("INFO")
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def talkative(no_handlers: None) -> None:
    @handler("parcel.sent", name="app.talks")
    def talk(delivery: Delivery) -> None:
        log.info("weighing", grams=5)


@pytest.mark.usefixtures("talkative")
class TestLinesOfHandlers:
    def test_carry_event_organisation_request_and_worker(self, send, org, caplog):
        with bind_correlation("request-7"):
            event = send()
        drain_all()
        (line,) = lines(caplog, "weighing")
        wanted = {
            "grams": 5,
            "event_id": event.pk,
            "event_name": "parcel.sent",
            "org_id": org.pk,
            "correlation_id": "request-7",
            "request_id": "request-7",
        }
        assert {name: line.get(name) for name in wanted} == wanted
        assert line["worker"].endswith(f":{os.getpid()}")

    def test_without_a_request_name_none(self, send, caplog):
        event = send()
        drain_all()
        (line,) = lines(caplog, "weighing")
        assert line["correlation_id"] == f"event-{event.pk}"
        assert "request_id" not in line

    def test_belong_to_their_own_event(self, send, org, other_org, caplog):
        events = [send(1), send(2, to=other_org), send(3)]
        drain_all()
        found = {(line["event_id"], line["org_id"]) for line in lines(caplog, "weighing")}
        assert found == {(event.pk, event.org_id) for event in events}


class TestLinesElsewhere:
    def test_carry_nothing_of_the_kind(self, caplog):
        log.info("idle")
        (line,) = lines(caplog, "idle")
        assert not {"event_id", "org_id", "worker", "request_id"} & line.keys()

    def test_what_a_line_says_by_itself_is_kept(self, send, caplog):
        @handler("parcel.sent", name="app.talks")
        def talk(delivery: Delivery) -> None:
            log.info("about another", event_id=1)

        change_delivery(send(), attempts=0)
        drain_all()
        (line,) = lines(caplog, "about another")
        assert line["event_id"] == 1

    def test_of_a_worker_name_it_always(self):
        """In a process of its own: there is no way back from being a worker."""
        program = (
            "import django; django.setup()\n"
            "import structlog\n"
            "from flowledger import logs\n"
            "logs.name_worker()\n"
            "structlog.get_logger('worker').info('lease expired')\n"
        )
        run = subprocess.run(
            [sys.executable, "-c", program],
            cwd=CHECKOUT,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "flowledger.settings", "LOG_JSON": "true"},
            capture_output=True,
            text=True,
            check=True,
        )
        line = json.loads(run.stderr.splitlines()[-1])
        assert line["event"] == "lease expired"
        assert line["worker"].rpartition(":")[2].isdigit()


def test_the_processor_stands_where_libraries_log_too():
    """Lines of Django and Celery pass the same processors as ours."""
    assert logs.add_cause in logs.SHARED
