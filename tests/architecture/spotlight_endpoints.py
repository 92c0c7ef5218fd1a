"""Rows of the stranger table for profiles, scores, routing and learning; see `endpoints.py`."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from flowledger.tenancy.actors import Actor, Role
from spotlight import services
from spotlight.models import FieldRule, RescoreRun, Spotlight, SpotlightField, WeightProposal
from tests.architecture.endpoints import Endpoint, World
from tests.factories import ClientFactory
from tests.spotlight.factories import RoutedSignalFactory
from tests.spotlight.generated import sample_evidence
from tests.workstream.factories import SignalFactory
from workstream.models import Signal

SYSTEM = Actor.system("tests")
MANAGER = Role.MANAGER
_WISH = {"field_name": "industry", "field_type": "text", "operator": "=", "value": "Banking", "weight": 12}


def _profile(world: World) -> Spotlight:
    """A profile with one criterion and two versions."""
    keys: dict[str, Any] = {"org": world.org, "actor": SYSTEM, "at": world.at}
    made = services.create_spotlight(fields={"name": "Banks", "domain": "finance"}, criteria=[_WISH], **keys)
    return services.update_spotlight(spotlight_id=made.pk, fields={}, criteria=[{**_WISH, "weight": 10}], **keys)


def _field(world: World) -> SpotlightField:
    fields = {"domain": "finance", "field_name": "region", "field_type": "text"}
    return services.create_field(org=world.org, fields=fields, actor=SYSTEM, at=world.at)


def _rule_of(world: World) -> dict[str, Any]:
    """The columns of a rule between two fields of the home organisation."""
    condition = world["spotlight"].criteria.order_by("pk")[0].field
    return {"operator": "=", "condition_value": "Banking", "effect": "show"} | {
        "field_id": world["field"].pk,
        "condition_field_id": condition.pk,
    }


def _rule(world: World) -> FieldRule:
    rule: FieldRule = FieldRule.all_orgs.create(org=world.org, **_rule_of(world))
    return rule


def _weights(world: World) -> WeightProposal:
    """Weights that wait for a manager."""
    spotlight = world["spotlight"]
    return WeightProposal.all_orgs.create(
        org=world.org,
        spotlight=spotlight,
        base_version=spotlight.version,
        weights={str(world["criterion"].pk): 7.5},
        evidence=sample_evidence(),
        made_at=world.at,
    )


def _accepted_weights(world: World) -> WeightProposal:
    """Weights that the profile has taken over."""
    return services.accept_weights(org=world.org, proposal_id=world["weight_proposal"].pk, actor=SYSTEM, at=world.at)


def _waiting_signal(world: World) -> Signal:
    """A signal that waits for review; its review is addressed by it."""
    signal: Signal = SignalFactory(org=world.org)
    RoutedSignalFactory(org=world.org, signal=signal, spotlight=world["spotlight"])
    return signal


def _scored_signal(world: World) -> Signal:
    """A signal whose score was set by hand."""
    spotlight = world["spotlight"]
    signal: Signal = SignalFactory(org=world.org, attributes={"industry": "Banking"})
    keys: dict[str, Any] = {"org": world.org, "item_type": "signal", "actor": SYSTEM, "at": world.at}
    services.evaluate_items(item_ids=[signal.pk], cause="new", **keys)
    services.override_score(
        item_id=signal.pk, spotlight_id=spotlight.pk, recommendation="low_match", reason="Known", **keys
    )
    return signal


def _rescore(world: World) -> RescoreRun:
    """A run over everything."""
    return services.start_rescore(
        org=world.org, spotlight=world["spotlight"], cause="manual", actor=SYSTEM, at=world.at
    )


def _told(world: World) -> dict[str, Any]:
    """What a provider says of a client of the home organisation."""
    client = ClientFactory(org=world.org)
    return {"client_id": client.pk, "provider": "Register", "facts": {"employees": 240}}


BUILDERS: dict[str, Callable[[World], Any]] = {
    "rescore": _rescore,
    "scored_signal": _scored_signal,
    "waiting_signal": _waiting_signal,
    "spotlight": _profile,
    "criterion": lambda world: world["spotlight"].criteria.order_by("pk")[0],
    "version": lambda world: SimpleNamespace(pk=1),
    "field": _field,
    "field_rule": _rule,
    "weight_proposal": _weights,
    "accepted_weights": _accepted_weights,
}

PROFILE = "/api/spotlights/{spotlight}"
_BANKS = {"name": "More banks", "domain": "finance", "criteria": [_WISH]}
WEIGHTS = "/api/spotlights/learning/{weight_proposal}"
REVIEWS = "/api/spotlights/reviews"
SCORES = ("/api/spotlights/scores/signal/{scored_signal}", "/api/spotlights/scores/candidate/{candidate}")
ENDPOINTS: list[Endpoint] = [
    Endpoint("GET", "/api/spotlights/rescores"),
    Endpoint("POST", "/api/spotlights/rescores", 201, weakest=MANAGER, body={}),
    Endpoint("GET", "/api/spotlights/rescores/{rescore}"),
    Endpoint("POST", "/api/spotlights/rescores/{rescore}/cancel", weakest=MANAGER, body={}),
    Endpoint("GET", "/api/spotlights/enrichment"),
    Endpoint("POST", "/api/spotlights/enrichment", weakest=Role.REP, stranger=400, body=_told),
    *(
        row
        for address in SCORES
        for row in (
            Endpoint("GET", address),
            Endpoint("POST", f"{address}/rescore", weakest=Role.REP, body={}),
            Endpoint("GET", f"{address}/history"),
            Endpoint(
                "POST",
                f"{address}/override",
                weakest=MANAGER,
                body=lambda world: {
                    "spotlight_id": world["spotlight"].pk,
                    "recommendation": "high_match",
                    "reason": "We know them",
                },
            ),
        )
    ),
    Endpoint(
        "DELETE",
        f"{SCORES[0]}/override",
        204,
        weakest=MANAGER,
        query=lambda world: f"spotlight_id={world['spotlight'].pk}",
    ),
    # Nothing was set by hand there.
    Endpoint(
        "DELETE",
        f"{SCORES[1]}/override",
        404,
        weakest=MANAGER,
        query=lambda world: f"spotlight_id={world['spotlight'].pk}",
    ),
    Endpoint("GET", REVIEWS),
    *(
        Endpoint("POST", f"{REVIEWS}/{{waiting_signal}}/{verb}", weakest=Role.REP, body={"note": "Seen"})
        for verb in ("accept", "dismiss")
    ),
    *(
        Endpoint(
            "POST",
            f"{REVIEWS}/{verb}",
            weakest=Role.REP,
            body=lambda world: {"signal_ids": [world["waiting_signal"].pk]},
        )
        for verb in ("accept", "dismiss")
    ),
    Endpoint("GET", "/api/spotlights"),
    Endpoint("POST", "/api/spotlights", 201, weakest=MANAGER, body=_BANKS),
    Endpoint("GET", PROFILE),
    Endpoint("PUT", PROFILE, weakest=MANAGER, body=_BANKS),
    Endpoint("PATCH", PROFILE, weakest=MANAGER, body={"description": "Ours"}),
    Endpoint("DELETE", PROFILE, 204, weakest=MANAGER),
    Endpoint("POST", f"{PROFILE}/clone", 201, weakest=MANAGER, body={}),
    Endpoint("POST", f"{PROFILE}/evaluate", body={"signal_data": {"industry": "Banking"}}),
    Endpoint("POST", f"{PROFILE}/preview", body={"criteria": [_WISH]}),
    Endpoint("GET", f"{PROFILE}/versions"),
    Endpoint("GET", f"{PROFILE}/versions/{{version}}"),
    Endpoint("POST", f"{PROFILE}/versions/{{version}}/revert", weakest=MANAGER, body={}),
    Endpoint("GET", "/api/spotlights/fields"),
    Endpoint(
        "POST",
        "/api/spotlights/fields",
        201,
        weakest=MANAGER,
        body={"domain": "finance", "field_name": "city", "field_type": "text"},
    ),
    Endpoint("GET", "/api/spotlights/fields/{field}"),
    Endpoint("PATCH", "/api/spotlights/fields/{field}", weakest=MANAGER, body={"label": "Where"}),
    Endpoint("DELETE", "/api/spotlights/fields/{field}", 204, weakest=MANAGER),
    Endpoint("GET", "/api/spotlights/criteria"),
    Endpoint(
        "POST",
        "/api/spotlights/criteria",
        201,
        weakest=MANAGER,
        stranger=400,
        body=lambda world: {**_WISH, "spotlight_id": world["spotlight"].pk},
    ),
    Endpoint("GET", "/api/spotlights/criteria/{criterion}"),
    Endpoint("PATCH", "/api/spotlights/criteria/{criterion}", weakest=MANAGER, body={"weight": 5}),
    Endpoint("DELETE", "/api/spotlights/criteria/{criterion}", 204, weakest=MANAGER),
    Endpoint("GET", "/api/spotlights/rules"),
    Endpoint("POST", "/api/spotlights/rules", 201, weakest=MANAGER, stranger=400, body=_rule_of),
    Endpoint("GET", "/api/spotlights/rules/{field_rule}"),
    Endpoint("PATCH", "/api/spotlights/rules/{field_rule}", weakest=MANAGER, body={"effect": "hide"}),
    Endpoint("DELETE", "/api/spotlights/rules/{field_rule}", 204, weakest=MANAGER),
    *(
        Endpoint("GET", f"/api/spotlights/report{part}")
        for part in ("", "/match-rate", "/conversion", "/fields", "/alerts")
    ),
    Endpoint("GET", f"{PROFILE}/learning"),
    # Nothing was closed that could be learned from.
    Endpoint("POST", f"{PROFILE}/learning", 409, weakest=MANAGER, body={}),
    Endpoint("GET", WEIGHTS),
    Endpoint("POST", f"{WEIGHTS}/accept", weakest=MANAGER, body={}),
    Endpoint("POST", f"{WEIGHTS}/reject", weakest=MANAGER, body={}),
    Endpoint("POST", "/api/spotlights/learning/{accepted_weights}/revert", weakest=MANAGER, body={}),
]
