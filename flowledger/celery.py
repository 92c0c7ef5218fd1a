"""The Celery application: queues, routes, the beat's schedule, shutdown and heartbeats.

Celery carries ticks only; what is to be done stands in the database. `celery -A flowledger worker` takes all queues,
`-Q outbox` and so on take some: `outbox` (events), `outgoing` (email, webhooks), `sla`, `memory`, `imports`,
`default`.
"""

from __future__ import annotations

import gc
import logging
import os
import time
from typing import Any

from celery import Celery, signals
from celery.schedules import crontab
from kombu.entity import Exchange, Queue

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flowledger.settings")

QUEUES = ("outbox", "outgoing", "sla", "memory", "imports", "default")

app = Celery("flowledger")


def _configuration() -> dict[str, Any]:
    from flowledger.outbox.conf import OutboxSettings

    return {
        "broker_url": _broker_url(),
        "broker_connection_retry_on_startup": True,
        # A broker that is away for a night is no reason to stop trying.
        "broker_connection_max_retries": None,
        "broker_transport_options": {
            "socket_connect_timeout": 2,
            "socket_timeout": 3,
            "socket_keepalive": True,
            "health_check_interval": 10,
            "retry_on_timeout": True,
            # Ticks are not redelivered from here: the database knows what is open.
            "visibility_timeout": 3600,
        },
        "task_ignore_result": True,
        "task_default_queue": "default",
        "task_queues": [Queue(name, Exchange(name), routing_key=name) for name in QUEUES],  # type: ignore[no-untyped-call]
        "task_routes": ROUTES,
        "task_acks_late": False,
        "task_serializer": "json",
        "accept_content": ["json"],
        "timezone": "UTC",
        # One at a time: a child that is busy must not sit on ticks that an idle one could take.
        "worker_prefetch_multiplier": 1,
        # Comes back from whatever befalls Redis, and notices when it hears nothing.
        "worker_consumer": "flowledger.outbox.consumer:SteadyConsumer",
        # What Celery lowers after a loss of the broker it does not always raise again.
        "worker_enable_prefetch_count_reduction": False,
        # Its subscription reads without a time-out: when the connection breaks while the pool is busy, the worker's
        # event loop waits in it for ever.
        "worker_enable_remote_control": False,
        "worker_hijack_root_logger": False,
        # Celery closes the database connection around each task unless told how often to use it; a new one costs more
        # than most drains. Old and broken ones are left in `_check_connection`.
        "CELERY_DB_REUSE_MAX": 1_000_000,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "beat_schedule": schedule(OutboxSettings.read().tick_seconds),
        # In memory: every entry is short or on the clock, so there is nothing to remember over a restart.
        "beat_scheduler": "celery.beat:Scheduler",
    }


ROUTES = {
    "flowledger.outbox.tasks.send_outgoing_emails": {"queue": "outgoing"},
    # They may take minutes; a month of events must not hold up the next one.
    "flowledger.outbox.tasks.keep_partitions": {"queue": "default"},
    "flowledger.outbox.tasks.archive_events": {"queue": "default"},
    "flowledger.outbox.tasks.*": {"queue": "outbox"},
    "flowledger.webhooks.tasks.*": {"queue": "outgoing"},
    "flowledger.assistants.tasks.*": {"queue": "outgoing"},
    "workstream.tasks.*sla*": {"queue": "sla"},
    # They may take minutes; new signals are scored by the drain meanwhile.
    "spotlight.tasks.rescore*": {"queue": "imports"},
    "memory.tasks.*": {"queue": "memory"},
    "*.tasks.import_*": {"queue": "imports"},
    # They wait for other people's servers.
    "workstream.tasks.poll_mailboxes": {"queue": "imports"},
}


def schedule(tick_seconds: float) -> dict[str, dict[str, Any]]:
    """The beat's schedule. Every entry expires before the next is due, so that a stalled worker finds no heap."""
    return {
        "outbox-drain": {
            "task": "flowledger.outbox.tasks.drain",
            "schedule": tick_seconds,
            "options": {"expires": max(tick_seconds, 1.0)},
        },
        "outgoing-emails": {
            "task": "flowledger.outbox.tasks.send_outgoing_emails",
            "schedule": 5.0,
            "options": {"expires": 5.0},
        },
        # Twice a day: what keeps the table locked at night (a dump) does not keep it at noon.
        "keep-outbox-partitions": {
            "task": "flowledger.outbox.tasks.keep_partitions",
            "schedule": crontab(minute="17", hour="3,15"),
            "options": {"expires": 3600.0},
        },
        "archive-events": {
            "task": "flowledger.outbox.tasks.archive_events",
            "schedule": crontab(minute="37", hour="3,15"),
            "options": {"expires": 3600.0},
        },
        "resume-held-candidates": {
            "task": "workstream.tasks.resume_held_candidates",
            "schedule": crontab(),
            "options": {"expires": 60.0},
        },
        "sweep-sla": {
            "task": "workstream.tasks.sweep_sla",
            "schedule": crontab(),
            "options": {"expires": 60.0},
        },
        "notification-emails": {
            "task": "workstream.tasks.send_notification_emails",
            "schedule": crontab(),
            "options": {"expires": 60.0},
        },
        "end-today-snoozes": {
            "task": "workstream.tasks.end_snoozes",
            "schedule": crontab(),
            "options": {"expires": 60.0},
        },
        "announce-configuration": {
            "task": "flowledger.configuration.tasks.announce_changes",
            "schedule": crontab(),
            "options": {"expires": 60.0},
        },
        "fold-item-tallies": {
            "task": "workstream.tasks.fold_item_tallies",
            "schedule": crontab(),
            "options": {"expires": 60.0},
        },
        # Starts and undos nudge; this finds what a worker that died has left.
        "import-rows": {
            "task": "workstream.tasks.import_rows",
            "schedule": 10.0,
            "options": {"expires": 10.0},
        },
        # A card is due ten seconds after its last change, a minute after the first.
        "build-memory-cards": {
            "task": "memory.tasks.build_cards",
            "schedule": 5.0,
            "options": {"expires": 5.0},
        },
        # Redactions and many new atoms make statistics due at once, a day does in any case.
        "refresh-memory-terms": {
            "task": "memory.tasks.refresh_memory_terms",
            "schedule": crontab(),
            "options": {"expires": 60.0},
        },
        "archive-due-atoms": {
            "task": "memory.tasks.archive_due_atoms",
            "schedule": crontab(minute="*/10"),
            "options": {"expires": 600.0},
        },
        # Rules of kinds change seldom; what they change is archived or kept within the hour.
        "renew-atom-expiries": {
            "task": "memory.tasks.renew_atom_expiries",
            "schedule": crontab(minute="*/5"),
            "options": {"expires": 300.0},
        },
        # The second stage of redactions; it locks what it rewrites, table by table.
        "rewrite-redacted-files": {
            "task": "memory.tasks.rewrite_redacted_files",
            "schedule": crontab(hour="3", minute="40"),
            "options": {"expires": 3600.0},
        },
        "embed-new-atoms": {
            "task": "memory.tasks.embed_new_atoms",
            "schedule": 15.0,
            "options": {"expires": 15.0},
        },
        # Older atoms, changed texts, and everything after a change of the model; goes on by itself until it is done.
        "embed-missed-atoms": {
            "task": "memory.tasks.embed_missed_atoms",
            "schedule": crontab(minute="23"),
            "options": {"expires": 1800.0},
        },
        # Captures nudge; this finds what was put off, and what a worker that died has left.
        "read-with-model": {
            "task": "memory.tasks.read_with_model",
            "schedule": 10.0,
            "options": {"expires": 10.0},
        },
        # Starts nudge; this finds what a worker that died has left.
        "rescore-items": {
            "task": "spotlight.tasks.rescore_items",
            "schedule": 10.0,
            "options": {"expires": 10.0},
        },
        "expire-score-overrides": {
            "task": "spotlight.tasks.expire_score_overrides",
            "schedule": crontab(),
            "options": {"expires": 60.0},
        },
        "poll-mailboxes": {
            "task": "workstream.tasks.poll_mailboxes",
            "schedule": crontab(),
            "options": {"expires": 60.0},
        },
        "watch-match-rates": {
            "task": "spotlight.tasks.watch_match_rates",
            "schedule": crontab(minute="47", hour="5"),
            "options": {"expires": 3600.0},
        },
        "purge-form-submissions": {
            "task": "workstream.tasks.purge_form_submissions",
            "schedule": crontab(minute="27", hour="3"),
            "options": {"expires": 3600.0},
        },
        "purge-idempotency-records": {
            "task": "flowledger.api.tasks.purge_idempotency_records",
            "schedule": crontab(minute="*/15"),
            "options": {"expires": 900.0},
        },
        "purge-token-families": {
            "task": "flowledger.api.tasks.purge_token_families",
            "schedule": crontab(minute="7", hour="3"),
            "options": {"expires": 3600.0},
        },
    }


def _broker_url() -> str:
    """The settings' broker; redis-py's `unix://` is spelled `redis+socket://` by Celery."""
    from django.conf import settings

    url: str = getattr(settings, "CELERY_BROKER_URL", "") or settings.REDIS_URL
    if url.startswith("unix://"):
        return url.replace("unix://", "redis+socket://", 1).replace("?db=", "?virtual_host=")
    return url


# Called when the configuration is first needed: importing this module reads no settings.
app.add_defaults(_configuration)
app.autodiscover_tasks()


# --- shutdown and heartbeats -------------------------------------------------------------------------------------


@signals.worker_init.connect
def _forget_shutdown(**kwargs: Any) -> None:
    from flowledger import logs
    from flowledger.outbox import shutdown

    shutdown.withdraw()
    logs.name_worker()


@signals.celeryd_after_setup.connect
def _allow_standby(instance: Any = None, **kwargs: Any) -> None:
    """Known before the pool's processes are forked, which inherit it."""
    from flowledger.outbox import standby

    standby.allow(processes=getattr(instance, "concurrency", 0) or 0)


@signals.worker_process_init.connect
def _spare_collections(**kwargs: Any) -> None:
    """As in `flowledger.wsgi`: what a new process has inherited is no garbage."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@signals.task_prerun.connect
def _check_connection(**kwargs: Any) -> None:
    """As Django does before a request: leave a connection that is too old, and look at it before its next use."""
    from django.db import close_old_connections

    close_old_connections()


@signals.worker_shutting_down.connect
def _announce_shutdown(**kwargs: Any) -> None:
    from flowledger.outbox import shutdown

    shutdown.request()


@signals.worker_process_shutdown.connect
@signals.worker_shutdown.connect
def _tell_last_numbers(**kwargs: Any) -> None:
    """What a process has counted and not told yet would end with it."""
    from flowledger.outbox import metrics

    metrics.flush()


class _Throttle:
    """Lets one call through per interval."""

    def __init__(self) -> None:
        self._next = float("-inf")

    def passes(self, seconds: float) -> bool:
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + seconds
        return True


_worker_throttle = _Throttle()
_beat_throttle = _Throttle()
_is_beat = False


@signals.worker_ready.connect
@signals.heartbeat_sent.connect
def _show_worker(sender: Any = None, **kwargs: Any) -> None:
    from flowledger.outbox.health import HEARTBEAT_SECONDS, show_heartbeat

    if _worker_throttle.passes(HEARTBEAT_SECONDS):
        show_heartbeat("worker", _worker_name(sender))


@signals.worker_shutdown.connect
def _end_worker(sender: Any = None, **kwargs: Any) -> None:
    from flowledger.outbox.health import end_heartbeat

    end_heartbeat("worker", _worker_name(sender))


def _worker_name(sender: Any) -> str:
    """The node name; the heartbeat's sender knows it through its dispatcher."""
    dispatcher = getattr(sender, "eventer", None)
    name = getattr(sender, "hostname", None) or getattr(dispatcher, "hostname", None)
    return str(name or f"pid-{os.getpid()}")


class _Sparingly(logging.Filter):
    """Says once a minute that a tick could not be sent: a broker that is away for a night must not fill the disk."""

    def __init__(self) -> None:
        super().__init__()
        self._throttle = _Throttle()

    def filter(self, record: logging.LogRecord) -> bool:
        if not str(record.msg).startswith("Message Error"):
            return True
        # Of the stack of the beat there is nothing to learn.
        record.msg, record.args, record.exc_info = record.getMessage().split("\n", 1)[0], None, None
        return self._throttle.passes(60)


@signals.beat_init.connect
@signals.beat_embedded_init.connect
def _become_beat(**kwargs: Any) -> None:
    global _is_beat
    _is_beat = True
    logging.getLogger("celery.beat").addFilter(_Sparingly())


@signals.after_task_publish.connect
def _show_beat(**kwargs: Any) -> None:
    """A beat lives as long as it publishes; a loop that hangs or a broker that is away ends its heartbeat."""
    from flowledger.outbox.health import HEARTBEAT_SECONDS, show_heartbeat

    if _is_beat and _beat_throttle.passes(HEARTBEAT_SECONDS):
        show_heartbeat("beat", "any")
