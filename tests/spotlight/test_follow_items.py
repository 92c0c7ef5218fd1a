"""Signals and candidates are scored when they come in or change, once, through the outbox."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from flowledger.outbox.drain import drain_all
from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.actors import Actor, Origin
from flowledger.tenancy.scope import system_scope
from spotlight.models import Cause
from tests.spotlight.factories import CLERK, WORKED_DATA, open_spotlight
from tests.spotlight.scoring import (
    BANKS,
    changes_of,
    scores_of,
    told_of,
)
from tests.workstream.factories import AT, SignalFactory, open_candidate
from workstream import services as workstream
from workstream.models import Candidate, Signal

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_limits")]


def drained() -> None:
    result = drain_all()
    assert (result.failed, result.dead) == (0, 0)


def received(org: Any, *, actor: Any = CLERK, **attributes: Any) -> Signal:
    fields = {"source_type": "api", "ts": AT, "snippet": "We need a WMS", "attributes": attributes}
    return workstream.create_signal(org=org, fields=fields, actor=actor, at=AT).signal


def evaluated(item: Any) -> list[WorkEvent]:
    with system_scope("tests"):
        rows = WorkEvent.all_orgs.filter(event_name="spotlight.evaluated", item_id=item.pk)
        return list(rows.filter(item_type=item._meta.model_name).order_by("pk"))


def test_a_new_signal_is_scored_in_the_wake_of_its_event(org):
    spotlight = open_spotlight(org)
    drained()
    signal = received(org, **WORKED_DATA)
    drained()

    assert scores_of(signal)[spotlight.pk].match_score == Decimal("0.8")
    (event,) = evaluated(signal)
    with system_scope("tests"):
        cause = WorkEvent.all_orgs.get(event_name="signal.created", item_id=signal.pk)
    assert (event.causation_id, event.payload["cause"]) == (cause.pk, Cause.NEW)


def test_what_follows_from_history_is_history(org):
    open_spotlight(org, BANKS)
    drained()
    signals = [
        SignalFactory(org=org, attributes={"industry": "Banking"}),
        SignalFactory(org=org, attributes={"industry": "Banking"}),
    ]
    for signal, actor in zip(signals, (Actor.importer(), CLERK), strict=True):
        signal.receive(actor=actor, at=AT)
        signal.save()
    drained()

    (imported,), (own,) = evaluated(signals[0]), evaluated(signals[1])
    assert (imported.origin, own.origin) == (Origin.IMPORT, Origin.SYSTEM)
    assert [len(scores_of(signal)) for signal in signals] == [1, 1]


def test_a_candidate_is_scored_with_its_signals_and_its_fit_starts_no_loop(org):
    open_spotlight(org)
    drained()
    candidate = open_candidate(org)
    drained()
    signal = received(org, **WORKED_DATA)
    workstream.link_signal(org=org, signal_id=signal.pk, candidate_id=candidate.pk, actor=CLERK, at=AT)
    drained()

    row = Candidate.all_orgs.get(pk=candidate.pk)
    assert (row.icp_score, row.icp_band) == (Decimal("0.800"), "high")
    assert [event.payload["cause"] for event in evaluated(candidate)] == [Cause.NEW, Cause.ITEM]
    # From nothing known to the signal's facts; the update of the fit has caused no further look.
    assert len(changes_of(candidate)) == 1


def test_only_what_is_a_fact_has_a_candidate_scored_again(org):
    open_spotlight(org)
    candidate = open_candidate(org)
    drained()
    keys: dict[str, Any] = {"org": org, "candidate_id": candidate.pk, "actor": CLERK, "at": AT}
    before = len(told_of(candidate))

    workstream.update_candidate(**keys, fields={"next_step": "Call"})
    drained()
    assert len(told_of(candidate)) == before
    workstream.update_candidate(**keys, fields={"estimated_value": Decimal(150_000)})
    drained()

    (*_, last) = told_of(candidate)
    assert (last["cause"], last["best"]["match_score"]) == (Cause.ITEM, 1.0)


def test_a_second_delivery_changes_nothing(org):
    open_spotlight(org, BANKS)
    drained()
    signal = received(org, industry="Banking")
    drained()
    with system_scope("tests"):
        WorkEvent.all_orgs.filter(event_name="signal.created").update(handled_by=[], processed_at=None)
    drained()

    assert len(evaluated(signal)) == 1
    assert changes_of(signal) == []
