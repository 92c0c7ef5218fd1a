"""The customer fit of candidates, as whoever scores them found it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from flowledger.outbox.recording import record_events
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case
from workstream.events import CandidateUpdated
from workstream.models import Candidate
from workstream.sql import candidates as sql

# The fields that `set_icp` writes, as `candidate.updated` names them.
ICP_FIELDS = ("icp_score", "icp_band")


@use_case
def set_icp(
    *, org: Organization, scores: Mapping[int, tuple[Decimal | None, str]], actor: Actor, at: datetime
) -> list[int]:
    """Set score (0…1, None for unknown) and band (high, med, low or "") of candidates; answers which changed.

    `candidate.updated` is recorded for those alone. It is no touch: clocks run on. Unknown keys are passed over. Raises
    PermissionRefused.
    """
    authorize(actor, "set_icp")
    ids = sorted(scores)
    if not ids:
        return []
    list(Candidate.objects.for_org(org).filter(pk__in=ids).locked().order_by("pk").values_list("pk"))
    changed = sql.set_icp(
        org_id=org.pk, ids=ids, scores=[scores[pk][0] for pk in ids], bands=[scores[pk][1] for pk in ids], at=at
    )
    facts = [
        (
            org.pk,
            CandidateUpdated(
                candidate_id=pk,
                changed=[name for name, is_changed in zip(ICP_FIELDS, flags, strict=True) if is_changed],
            ),
        )
        for pk, *flags in changed
    ]
    record_events(facts=facts, actor=actor, at=at)
    return [pk for pk, *_ in changed]
