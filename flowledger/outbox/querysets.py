"""Questions about events and their delivery."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from flowledger.tenancy.querysets import OrgQuerySet

if TYPE_CHECKING:
    from flowledger.outbox.models import HandlerFailure, OutgoingEmail, WorkEvent  # noqa: F401


class WorkEventQuerySet(OrgQuerySet["WorkEvent"]):
    """Events by the state of their delivery, and by what they happened to."""

    def pending(self) -> Self:
        """Not yet handled by everybody and not given up: ready, claimed, or waiting for a retry."""
        return self.filter(processed_at__isnull=True, dead_letter_at__isnull=True)

    def ready(self) -> Self:
        """Pending, unclaimed and due by the database's clock."""
        return self.pending().filter(claimed_at__isnull=True, available_at__lte=Now())

    def dead(self) -> Self:
        """The dead-letter list: given up after the last attempt, and nobody has discarded it yet."""
        # Dead letters are never processed; saying so keeps the database away from the months of history.
        return self.filter(processed_at__isnull=True, dead_letter_at__isnull=False, discarded_at__isnull=True)

    def discarded(self) -> Self:
        """Dead letters that somebody discarded, with the reason."""
        return self.filter(processed_at__isnull=True, discarded_at__isnull=False)

    def of_item(self, item_type: str, item_id: int) -> Self:
        """The trail of one item; oldest first when ordered by key."""
        # The comparison is always true; it opens the index that is kept apart from the claim.
        return self.filter(item_type=item_type, item_id=item_id, org__gt=0)

    def named(self, *event_names: str) -> Self:
        """Events with one of these names."""
        return self.filter(event_name__in=event_names)

    def failed_in(self, *handlers: str) -> Self:
        """Events in which one of these handlers has failed and not succeeded since."""
        from flowledger.outbox.models import HandlerFailure

        failures = HandlerFailure.all_orgs.filter(
            org_id=OuterRef("org_id"), event_id=OuterRef("pk"), handler__in=handlers
        )
        return self.filter(Exists(failures.unresolved()))


class HandlerFailureQuerySet(OrgQuerySet["HandlerFailure"]):
    """What handlers stumbled over."""

    def unresolved(self) -> Self:
        """Failures of handlers that have not succeeded with the event since."""
        from flowledger.outbox.models import WorkEvent

        receipts = WorkEvent.all_orgs.filter(
            org_id=OuterRef("org_id"), pk=OuterRef("event_id"), handled_by__contains=[OuterRef("handler")]
        )
        return self.filter(~Exists(receipts))


class OutgoingEmailQuerySet(OrgQuerySet["OutgoingEmail"]):
    """Messages by the state of their sending."""

    def unsent(self) -> Self:
        """Waiting, being sent, or waiting for a retry."""
        return self.filter(sent_at__isnull=True, dead_letter_at__isnull=True)

    def dead(self) -> Self:
        """Given up after the last attempt."""
        return self.filter(dead_letter_at__isnull=False)
