"""The outbox's settings with their defaults, read when asked so that tests can change them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from django.conf import settings


@dataclass(frozen=True)
class OutboxSettings:
    """One reading of the settings named OUTBOX_<FIELD>."""

    wake: bool
    batch_size: int
    max_attempts: int
    crash_limit: int
    lease_seconds: float
    renew_seconds: float
    tick_seconds: float
    drain_seconds: float
    soft_seconds: float
    hard_seconds: float
    max_payload_bytes: int
    email_batch_size: int
    partitions_ahead: int
    retention_months: int

    @classmethod
    def read(cls) -> Self:
        def value(name: str, default: Any) -> Any:
            return getattr(settings, f"OUTBOX_{name}", default)

        return cls(
            wake=value("WAKE", default=True),
            batch_size=value("BATCH_SIZE", 400),
            max_attempts=value("MAX_ATTEMPTS", 8),
            crash_limit=value("CRASH_LIMIT", 5),
            lease_seconds=value("LEASE_SECONDS", 300.0),
            renew_seconds=value("RENEW_SECONDS", 60.0),
            tick_seconds=value("TICK_SECONDS", 1.0),
            drain_seconds=value("DRAIN_SECONDS", 20.0),
            soft_seconds=value("SOFT_SECONDS", 60.0),
            hard_seconds=value("HARD_SECONDS", 120.0),
            max_payload_bytes=value("MAX_PAYLOAD_BYTES", 65_536),
            # Small, because each message is a call of seconds and the whole batch shares one lease.
            email_batch_size=value("EMAIL_BATCH_SIZE", 5),
            partitions_ahead=value("PARTITIONS_AHEAD", 3),
            # 0 keeps everything.
            retention_months=value("RETENTION_MONTHS", 0),
        )
