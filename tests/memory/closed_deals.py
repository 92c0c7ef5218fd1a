"""Closed pursuits with traits, and what is remembered of them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from flowledger.tenancy.models import Organization
from memory.models import Atom
from tests.factories import ClientFactory
from tests.memory.factories import AtomFactory
from tests.workstream.factories import AT, CandidateFactory, PursuitFactory, SignalFactory
from workstream.models import CandidateSignal, Pursuit


def deal(
    org: Organization,
    *,
    stage: str = "lost",
    closed_at: datetime = AT,
    industry: str = "",
    size_band: str = "",
    source: str = "",
    owner: Any = None,
    country: str = "",
    tags: tuple[Any, ...] = (),
    **of_candidate: Any,
) -> Pursuit:
    """A pursuit with these traits; `problem`, `solution` and `value_band` are its candidate's. Open ones by `stage`."""
    client = ClientFactory(org=org, industry=industry, size_band=size_band, country=country)
    candidate = CandidateFactory(org=org, client=client, **of_candidate)
    if source:
        signal = SignalFactory(org=org, client=client, source_type=source)
        CandidateSignal.all_orgs.create(org=org, candidate=candidate, signal=signal, linked_at=AT)
    ended: dict[str, Any] = {"submitted_at": closed_at - timedelta(days=7), "closed_at": closed_at}
    if stage not in {"won", "lost"}:
        ended = {}
    pursuit: Pursuit = PursuitFactory(
        org=org,
        candidate=candidate,
        client=client,
        stage=stage,
        state_entered_at=closed_at,
        outcome_reason="Too dear" if stage == "lost" else "",
        owner=owner,
        **ended,
    )
    pursuit.tags.through.all_orgs.bulk_create(pursuit.tags.through(org=org, pursuit=pursuit, tag=tag) for tag in tags)
    return pursuit


def remembered(org: Organization, pursuit: Pursuit, content: str, **more: Any) -> Atom:
    """A decision about a pursuit, unless another kind is named."""
    atom: Atom = AtomFactory(org=org, pursuit=pursuit, content=content, **{"kind": "decision", **more})
    return atom
