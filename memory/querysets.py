"""Questions about many atoms."""

from __future__ import annotations

from typing import Any, Self

from django.db.models import Q

from flowledger.tenancy.actors import Actor
from flowledger.tenancy.permissions import may
from flowledger.tenancy.querysets import OrgQuerySet
from memory.machines import AtomState


class AtomQuerySet(OrgQuerySet[Any]):
    """Atoms, by state and by who may read them."""

    def active(self) -> Self:
        """What is on cards and in default search."""
        return self.filter(state=AtomState.ACTIVE)

    def readable_by(self, actor: Actor) -> Self:
        """What the audience of each lets the actor read."""
        allowed = Q(audience="everyone") | Q(audience="author", author_id=actor.user_id, author_id__isnull=False)
        if may(actor, "see_memory_of_managers"):
            allowed |= Q(audience="managers")
        return self.filter(allowed)
