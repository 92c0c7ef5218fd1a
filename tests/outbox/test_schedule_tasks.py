"""The beat's schedule: what it names exists, goes to its queue and does not pile up."""

import pytest
from celery.schedules import crontab

from flowledger.celery import QUEUES, app, schedule


@pytest.fixture(scope="module", autouse=True)
def tasks_loaded():
    app.loader.import_default_modules()


@pytest.mark.parametrize("entry", schedule(1.0).values(), ids=schedule(1.0))
class TestSchedule:
    def test_the_task_exists(self, entry):
        assert entry["task"] in app.tasks

    def test_it_expires_no_later_than_the_next_is_due(self, entry):
        due = entry["schedule"]
        if isinstance(due, crontab):
            assert entry["options"]["expires"] <= 60 * (60 if len(due.minute) == 1 else 60 // len(due.minute))
        else:
            assert entry["options"]["expires"] <= max(due, 1.0)

    def test_it_takes_no_positional_arguments(self, entry):
        assert "args" not in entry


@pytest.mark.parametrize(
    ("task", "queue"),
    [
        ("flowledger.outbox.tasks.drain", "outbox"),
        ("flowledger.outbox.tasks.send_outgoing_emails", "outgoing"),
        ("flowledger.webhooks.tasks.deliver", "outgoing"),
        ("workstream.tasks.sweep_sla", "sla"),
        ("memory.tasks.rebuild_summaries", "memory"),
        ("workstream.tasks.import_signals", "imports"),
        ("workstream.tasks.resume_held_candidates", "default"),
    ],
)
def test_a_task_goes_to_its_queue_alone(task, queue):
    route = app.amqp.router.route({}, task)
    assert route["queue"].name == queue
    assert (route["queue"].exchange.name, route["queue"].routing_key) == (queue, queue)
    assert {each.name for each in app.amqp.queues.values()} == set(QUEUES)
