"""What spotlight does about events; database work only, once per event."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from flowledger.outbox.causes import caused_by
from flowledger.outbox.registry import Delivery, handler
from flowledger.tenancy.actors import Actor, Origin
from spotlight import services
from spotlight.models import Cause
from spotlight.rules import BANDS, PARTIAL_CREDIT, PRECEDENCE
from spotlight.services import fields, following, learning, match_alerts


@handler("spotlight.match_rate_low", name="spotlight.notify_low_match_rate", outside=True)
def notify_low_match_rate(delivery: Delivery) -> None:
    """The managers hear that a profile matches too few signals."""
    match_alerts.tell_of_low_rate(
        org=delivery.org, match_alert_id=delivery.payload["match_alert_id"], at=delivery.occurred_at
    )


@handler("spotlight.evaluated", name="spotlight.route_signals", outside=True, batch=True)
def route_signals(deliveries: Sequence[Delivery]) -> None:
    """Scored signals go where the rule sends them. Imports with rules off are scored and not routed."""
    causes = {each.payload["item_id"]: each for each in deliveries if each.payload["item_type"] == "signal"}
    if causes:
        services.route_signals(
            org=deliveries[0].org,
            signal_ids=causes,
            rescored={pk for pk, each in causes.items() if each.payload["cause"] == Cause.PROFILE},
            causes=causes,
            actor=deliveries[0].reacting_actor(),
            at=deliveries[-1].occurred_at,
        )


@handler(["signal.linked", "signal.rejected"], name="spotlight.follow_decisions", batch=True)
def follow_decisions(deliveries: Sequence[Delivery]) -> None:
    """What was linked or rejected elsewhere waits for review no longer."""
    for origin in sorted({each.origin for each in deliveries}):
        mine = [each for each in deliveries if each.origin is origin]
        linked = [each.payload for each in mine if each.event_name == "signal.linked"]
        services.follow_decisions(
            org=mine[0].org,
            linked={facts["signal_id"]: facts["candidate_id"] for facts in linked},
            rejected={each.payload["signal_id"] for each in mine if each.event_name == "signal.rejected"},
            actor=mine[0].reacting_actor(),
            at=mine[-1].occurred_at,
        )


# --- what scores one item ---


@handler("signal.created", name="spotlight.evaluate_signals", batch=True)
def evaluate_signals(deliveries: Sequence[Delivery]) -> None:
    """New signals are scored; what follows from imported ones is imported too."""
    for origin in sorted({each.origin for each in deliveries}):
        mine = [each for each in deliveries if each.origin is origin]
        services.evaluate_items(
            org=mine[0].org,
            item_type="signal",
            item_ids=[each.payload["signal_id"] for each in mine],
            cause=Cause.NEW,
            causes={each.payload["signal_id"]: each for each in mine},
            actor=mine[0].reacting_actor(),
            at=mine[-1].occurred_at,
        )


# What of a candidate is a fact about it, or leads to some.
_CANDIDATE_FACTS = frozenset({"client", "contact", "value_band", "estimated_value", "confidence"})


@handler(["candidate.created", "candidate.updated", "signal.linked"], name="spotlight.evaluate_candidates", batch=True)
def evaluate_candidates(deliveries: Sequence[Delivery]) -> None:
    """Candidates are scored when they are opened, get a signal, or change in what is known of them."""
    telling = [
        each
        for each in deliveries
        if each.event_name != "candidate.updated" or _CANDIDATE_FACTS & set(each.payload["changed"])
    ]
    alike: dict[tuple[Origin, Cause], list[Delivery]] = {}
    for each in telling:
        cause = Cause.NEW if each.event_name == "candidate.created" else Cause.ITEM
        alike.setdefault((each.origin, cause), []).append(each)
    for (_, cause), mine in alike.items():
        services.evaluate_items(
            org=mine[0].org,
            item_type="candidate",
            item_ids=[each.payload["candidate_id"] for each in mine],
            cause=cause,
            causes={each.payload["candidate_id"]: each for each in mine},
            actor=mine[0].reacting_actor(),
            at=mine[-1].occurred_at,
        )


# --- what moves many scores ---

# What facts are made of; the rest of a client or contact moves no score.
_TELLING = {
    "client.updated": frozenset({"name", "domain", "industry", "size_band", "annual_revenue", "country", "attributes"}),
    "contact.updated": frozenset({"title", "preferences"}),
}
_REASONS = {
    "client.updated": "A client was changed",
    "client.merged": "Two clients were merged",
    "client.merge_undone": "A merge of clients was undone",
    "contact.updated": "A contact was changed",
    "contact.merged": "Two contacts were merged",
    "contact.merge_undone": "A merge of contacts was undone",
    "spotlight.facts_enriched": "Enrichment brought news",
}


@handler([*_REASONS], name="spotlight.follow_subjects", batch=True)
def follow_subjects(deliveries: Sequence[Delivery]) -> None:
    """The items of clients and contacts that were changed, merged or enriched are scored anew."""
    alike: dict[tuple[str, Origin], list[Delivery]] = {}
    for each in deliveries:
        facts = each.payload
        telling = _TELLING.get(each.event_name)
        if telling is None or telling & set(facts["changed"]):
            alike.setdefault((each.event_name, each.origin), []).append(each)
    for (event_name, _), group in alike.items():
        subjects = {subject for each in group for subject in _subjects(each)}
        last = group[-1]
        with caused_by(last):
            following.follow_subjects(
                org=last.org,
                client_ids={pk for kind, pk in subjects if kind == "client"},
                contact_ids={pk for kind, pk in subjects if kind == "contact"},
                cause=Cause.ENRICHMENT if event_name == "spotlight.facts_enriched" else Cause.CLIENT,
                reason=_REASONS[event_name],
                actor=last.reacting_actor(),
                at=last.occurred_at,
            )


def _subjects(delivery: Delivery) -> Iterator[tuple[str, int]]:
    """The clients and contacts that an event is about; of a merge both, since an undo divides them again."""
    facts = delivery.payload
    if delivery.event_name == "spotlight.facts_enriched":
        yield facts["item_type"], facts["item_id"]
        return
    kind = delivery.event_name.partition(".")[0]
    for name in (f"{kind}_id", f"merged_{kind}_id"):
        if name in facts:
            yield kind, facts[name]


@handler(["spotlight.created", "spotlight.updated"], name="spotlight.follow_profiles", batch=True)
def follow_profiles(deliveries: Sequence[Delivery]) -> None:
    """A new profile, or one whose change moves scores, is held against everything; edits in a row once."""
    moving = [each for each in deliveries if each.payload.get("moves_scores", True)]
    last_of = {each.payload["spotlight_id"]: each for each in moving}
    for spotlight_id, last in sorted(last_of.items()):
        is_new = last.event_name == "spotlight.created"
        with caused_by(last):
            following.follow_profiles(
                org=last.org,
                spotlight_ids=[spotlight_id],
                reason="The profile is new" if is_new else f"The profile was changed to version {last.event.version}",
                actor=_on_behalf(last),
                at=last.occurred_at,
            )


@handler("spotlight.deleted", name="spotlight.follow_deleted_profile")
def follow_deleted_profile(delivery: Delivery) -> None:
    """Items whose best was a profile that is gone get the next best."""
    following.follow_rules(
        org=delivery.org,
        reason=f"The profile {delivery.payload['name']} was deleted",
        actor=_on_behalf(delivery),
        at=delivery.occurred_at,
    )


_SCORING_RULES = {(str(rule.rule_type.value), rule.name) for rule in (BANDS, PARTIAL_CREDIT, PRECEDENCE)}


@handler(["config.changed", "config.took_effect"], name="spotlight.follow_rules")
def follow_rules(delivery: Delivery) -> None:
    """Other bands, other credit or another precedence move scores; a planned change does when its time has come."""
    facts = delivery.payload
    if (facts["rule_type"], facts["key"]) not in _SCORING_RULES:
        return
    if datetime.fromisoformat(facts.get("effective_from") or facts["effective_at"]) > delivery.occurred_at:
        return
    following.follow_rules(
        org=delivery.org,
        reason=f"The rule {facts['key']} was changed",
        actor=_on_behalf(delivery),
        at=delivery.occurred_at,
    )


def _on_behalf(delivery: Delivery) -> Actor:
    """The handler's actor with the person who made the change behind it."""
    return replace(delivery.reacting_actor(), user_id=delivery.actor_user_id)


@handler("spotlight.field_updated", name="spotlight.renew_profiles")
def renew_profiles(delivery: Delivery) -> None:
    """The profiles that look at a changed field get their next version."""
    fields.renew_profiles(
        org=delivery.org,
        field_id=delivery.payload["field_id"],
        changed=delivery.payload["changed"],
        actor=_on_behalf(delivery),
        at=delivery.occurred_at,
    )


@handler("spotlight.updated", name="spotlight.supersede_proposals")
def supersede_proposals(delivery: Delivery) -> None:
    """Weights that were learned for an earlier version wait for nobody any more."""
    learning.supersede_proposals(
        org=delivery.org,
        spotlight_id=delivery.payload["spotlight_id"],
        version=delivery.payload["version"],
        actor=delivery.reacting_actor(),
        at=delivery.occurred_at,
    )
