"""Makes a worker's consumer fail in the ways in which Celery's are known to fail: for `worker --include`.

SIGUSR2 makes the main process deaf, once or for good, or has it wait for ever, as FAULT_SABOTAGE says. Deaf is how
workers were found after restarts of Redis: connected, alive, and no longer asking for messages.
"""

import os
import signal
import socket
from typing import Any

from celery import signals
from kombu.transport.redis import MultiChannelPoller


@signals.worker_ready.connect
def _wait_for_order(sender: Any = None, **kwargs: Any) -> None:
    consumer = sender

    def make_deaf(*args: Any) -> None:
        consumer.connection.transport.cycle._channels.clear()

    def make_deaf_for_good(*args: Any) -> None:
        MultiChannelPoller.on_poll_start = lambda self: None  # type: ignore[method-assign]
        make_deaf()

    def get_stuck(*args: Any) -> None:
        ours, _theirs = socket.socketpair()
        ours.recv(1)

    orders = {"deaf": make_deaf, "deaf for good": make_deaf_for_good, "stuck": get_stuck}
    signal.signal(signal.SIGUSR2, orders[os.environ["FAULT_SABOTAGE"]])
