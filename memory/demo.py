"""The demonstration's memory: what its people heard in calls and meetings, and the card that tells the story."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from flowledger.clients.models import Contact
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope
from memory.services.cards import Card, card_of
from workstream.machines import PursuitStage
from workstream.models import Pursuit
from workstream.models.activities import ActivityKind, Direction
from workstream.services import log_activity

# What contacts told about themselves; `first` is the given name.
PREFERENCES: tuple[str, ...] = (
    "{first} prefers email to phone calls and answers before nine in the morning.",
    "{first} prefers a meter running on the line to another slide.",
    "{first} prefers to be called on Fridays, after the weekly production meeting.",
    "{first} prefers all prices in one table and does not like options.",
    "{first} prefers short visits on site and asked us not to send brochures.",
)
# How it was decided; `name` is the contact's.
DECISIONS: tuple[str, ...] = (
    "{name} decided together with the managing director; purchasing only checked the terms.",
    "The plant committee decided by vote, and {name} presented the comparison.",
    "{name} decided alone, as the amount was below the limit of the plant.",
)
RISKS: tuple[str, ...] = (
    "There is a risk that the budget is frozen when the new quarter starts.",
    "They are worried about the delivery time and about the production stop for the installation.",
    "A competitor has offered a longer warranty, which is a risk for us.",
)
# What was learnt after a proposal, won or lost.
LESSONS: dict[str, tuple[str, ...]] = {
    PursuitStage.WON: (
        "Learned from the proposal: the page with the calibration costs over five years made the difference.",
        "Learned from the proposal: they liked that installation and training were one price.",
        "Learned from the proposal: the reference from a plant of their size counted more than the data sheet.",
    ),
    PursuitStage.LOST: (
        "Learned from the proposal: it came two weeks after the competitor's, and theirs was easier to compare.",
        "Learned from the proposal: fourteen weeks of delivery were too long, the stock version would have done.",
        "Learned from the proposal: we never spoke to the head of finance, who asked for a lease.",
    ),
}
# Calls are noted so long before the deal was closed; the debriefing comes after it.
_BEFORE = timedelta(hours=6)
_AFTER = timedelta(minutes=30)


def furnish(*, org: Organization, manager: Actor, at: datetime) -> None:
    """Let the representatives' calls say what real ones say: who decides, what is preferred, feared and learnt."""
    with org_scope(org):
        closed = (
            Pursuit.objects.for_org(org)
            .filter(closed_at__isnull=False, contact__isnull=False)
            .select_related("contact")
            .order_by("pk")
        )
        told: set[int] = set()
        for place, pursuit in enumerate(closed):
            if pursuit.contact_id not in told:
                told.add(pursuit.contact_id)
                _prefer(org, pursuit, place, manager)
            _debrief(org, pursuit, place, manager, at=at)


def _prefer(org: Organization, pursuit: Pursuit, place: int, manager: Actor) -> None:
    contact, closed_at = _parts(pursuit)
    log_activity(
        org=org,
        item_type="contact",
        item_id=contact.pk,
        kind=ActivityKind.CALL,
        direction=Direction.OUTBOUND,
        summary=_said(PREFERENCES, place, contact),
        actor=manager,
        at=closed_at - 3 * _BEFORE,
    )


def _debrief(org: Organization, pursuit: Pursuit, place: int, manager: Actor, *, at: datetime) -> None:
    contact, closed_at = _parts(pursuit)
    for kind, direction, texts, moment in (
        (ActivityKind.CALL, Direction.OUTBOUND, RISKS, closed_at - 2 * _BEFORE),
        (ActivityKind.MEETING, Direction.INBOUND, DECISIONS, closed_at - _BEFORE),
        (ActivityKind.NOTE, Direction.INTERNAL, LESSONS[pursuit.stage], min(closed_at + _AFTER, at)),
    ):
        log_activity(
            org=org,
            item_type="pursuit",
            item_id=pursuit.pk,
            kind=kind,
            direction=direction,
            summary=_said(texts, place, contact),
            actor=manager,
            at=moment,
        )


def _parts(pursuit: Pursuit) -> tuple[Contact, datetime]:
    """The contact and the end of a closed pursuit that has one."""
    assert pursuit.contact is not None
    assert pursuit.closed_at is not None
    return pursuit.contact, pursuit.closed_at


def _said(texts: Sequence[str], place: int, contact: Contact) -> str:
    return texts[place % len(texts)].format(name=contact.name, first=contact.name.split()[0])


def tell(*, org: Organization, pursuit_id: int, actor: Actor, at: datetime) -> str:
    """What the memory card of a pursuit's client says, in a line; nobody wrote a word of it by hand."""
    with org_scope(org):
        pursuit = Pursuit.objects.for_org(org).select_related("client").get(pk=pursuit_id)
    if pursuit.client is None:
        return ""
    card: Card = card_of(org=org, entity_type="client", entity_id=pursuit.client.pk, actor=actor, at=at)
    counts = ", ".join(f"{len(lines)} {name.replace('_', ' ')}" for name, lines in card.summary.items() if lines)
    return f"{pursuit.client.name}: {card.atom_count} atoms remembered by themselves; the card shows {counts}"
