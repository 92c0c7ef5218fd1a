"""What the pipeline counts for Prometheus, told with the numbers of the outbox."""

from __future__ import annotations

from flowledger.outbox.metrics import Metric, declare

SWEEPS = declare(
    Metric(
        "flowledger_sla_sweep_seconds",
        "Time that a sweep of the SLA clocks took.",
        (),
        (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0),
    )
)
WARNED = declare(Metric("flowledger_sla_warned", "Warnings given by the sweep, by metric.", ("metric",)))
BREACHED = declare(Metric("flowledger_sla_breached", "Breaches opened by the sweep, by metric.", ("metric",)))
FAILURES = declare(
    Metric(
        "flowledger_sla_sweep_failures",
        "Due clocks that a sweep could not bring forward, by step, organisation and rule (none: a clock without one).",
        ("step", "org", "rule"),
    )
)
