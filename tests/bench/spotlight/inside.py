"""What the suite does with the application's own code: `python -m tests.bench.spotlight.inside VERB`.

The last line of the output is the answer as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flowledger.settings")
django.setup()

from django.db import connection  # noqa: E402

from flowledger.tenancy.models import Organization  # noqa: E402
from flowledger.tenancy.scope import org_scope, system_scope  # noqa: E402
from spotlight.evaluation.engine import compile_profiles  # noqa: E402
from spotlight.evaluation.types import Fact, Profile  # noqa: E402
from spotlight.models import Cause, RescoreRun, Spotlight, SpotlightScore, SpotlightScoreChange  # noqa: E402
from spotlight.services import rescores, update_spotlight  # noqa: E402
from spotlight.services.definitions import active_profiles, scale_of  # noqa: E402
from spotlight.services.facts import facts_of  # noqa: E402
from spotlight.services.scoring import evaluate_items  # noqa: E402
from tests.bench.spotlight import quality, world  # noqa: E402

# What one claim of the outbox hands to the handler.
CLAIM = 400


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.spotlight.inside", description=__doc__)
    parser.add_argument("verb", choices=["fill", "evaluate", "score", "rescore", "quality"])
    parser.add_argument("--org", type=int, required=True)
    parser.add_argument("--signals", type=int, default=1_000)
    parser.add_argument("--profiles", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--outcomes", type=int, default=10_000)
    given = parser.parse_args()
    verbs: dict[str, Any] = {
        "fill": _fill,
        "evaluate": _evaluate,
        "score": _score,
        "rescore": _rescore,
        "quality": _quality,
    }
    print(json.dumps(verbs[given.verb](given)), flush=True)


def _fill(given: argparse.Namespace) -> dict[str, Any]:
    """Signals and profiles up to the numbers."""
    org, at = _organization(given.org), datetime.now(UTC)
    began = time.perf_counter()
    with org_scope(org):
        missing = given.profiles - Spotlight.objects.for_org(org).count()
    if missing > 0:
        world.profiles(org, missing, at=at)
    world.fill(org, given.signals, at=at)
    return {"signals": len(world.signal_ids(org)), "seconds": time.perf_counter() - began}


def _evaluate(given: argparse.Namespace) -> dict[str, Any]:
    """Criterion evaluations a second: facts in memory, no database.

    `new`: an engine that has seen nothing meets every signal for the first time. `seen`: the same signals once more.
    """
    org = _organization(given.org)
    with org_scope(org):
        ids = world.signal_ids(org)[: given.signals]
        facts = list(facts_of(org=org, item_type="signal", item_ids=ids).values())
        profiles, scale = active_profiles(org), scale_of(org)
    criteria = sum(len(profile.criteria) for profile in profiles)
    rates: dict[str, list[float]] = {"new": [], "seen": []}
    for _ in range(given.rounds):
        engine = compile_profiles(profiles, scale)
        for way in ("new", "seen"):
            began = time.perf_counter()
            for each in facts:
                engine.evaluate(each)
            rates[way].append(criteria * len(facts) / (time.perf_counter() - began))
    return {**rates, "one_by_one": _alone(profiles, facts, scale, rounds=given.rounds), "criteria": criteria}


def _alone(profiles: tuple[Profile, ...], facts: list[Mapping[str, Fact]], scale: Any, *, rounds: int) -> list[float]:
    """Nothing is ever remembered: a new engine for each signal, compiled outside of the time."""
    some = facts[:100]
    criteria = sum(len(profile.criteria) for profile in profiles)
    rates = []
    for _ in range(rounds):
        engines = [compile_profiles(profiles, scale) for _ in some]
        began = time.perf_counter()
        for engine, each in zip(engines, some, strict=True):
            engine.evaluate(each)
        rates.append(criteria * len(some) / (time.perf_counter() - began))
    return rates


def _score(given: argparse.Namespace) -> dict[str, Any]:
    """Signals a second from loading facts to the commit of scores, components, best scores and events.

    New signals in claims of 400; then the same with nothing changed, which writes nothing.
    """
    org, at = _organization(given.org), datetime.now(UTC)
    ids = world.signal_ids(org)
    rates: dict[str, list[float]] = {"new": [], "unchanged": []}
    for way in ("new", "unchanged"):
        for start in range(0, len(ids), CLAIM):
            claim = ids[start : start + CLAIM]
            began = time.perf_counter()
            found = evaluate_items(
                org=org, item_type="signal", item_ids=claim, cause=Cause.NEW, actor=world.ACTOR, at=at
            )
            rates[way].append(len(claim) / (time.perf_counter() - began))
            assert found.items == len(claim), found
            assert found.changed == (len(claim) if way == "new" else 0), found
    with org_scope(org):
        stored = SpotlightScore.objects.for_org(org).count()
    assert stored == len(ids) * given.profiles, stored
    return {**rates, "stored": stored}


def _rescore(given: argparse.Namespace) -> dict[str, Any]:
    """Seconds to score all signals against one profile for the first time, and once more after its weights changed."""
    org = _organization(given.org)
    first = _worked_off(org, _start(org))
    _analyse()
    with org_scope(org):
        (spotlight,) = Spotlight.objects.for_org(org).order_by("pk")
        wishes = list(
            spotlight.criteria.order_by("position", "pk").values("id", "field_id", "operator", "value", "weight")
        )
    criteria = [
        {
            "criterion_id": wish["id"],
            "field_id": wish["field_id"],
            "operator": wish["operator"],
            "value": wish["value"],
            "weight": float(wish["weight"]) * (3 if place % 2 else 1),
        }
        for place, wish in enumerate(wishes)
    ]
    update_spotlight(
        org=org,
        spotlight_id=spotlight.pk,
        fields={},
        criteria=criteria,
        actor=world.ACTOR,
        at=datetime.now(UTC),
    )
    edited = _worked_off(org, _start(org))
    with org_scope(org):
        moved = SpotlightScoreChange.objects.for_org(org).count()
    return {"first": first, "edited": edited, "moved": moved}


def _start(org: Organization) -> RescoreRun:
    at = datetime.now(UTC)
    with org_scope(org):
        (spotlight,) = Spotlight.objects.for_org(org).order_by("pk")
    return rescores.start_rescore(
        org=org, spotlight=spotlight, cause=Cause.PROFILE, reason="bench", actor=world.ACTOR, at=at
    )


def _worked_off(org: Organization, run: RescoreRun) -> float:
    """Seconds of one worker until the run is done."""
    began = time.perf_counter()
    while rescores.rescore_batch(org=org, run_id=run.pk, at=datetime.now(UTC)) is rescores.Progress.MORE:
        pass
    seconds = time.perf_counter() - began
    with org_scope(org):
        done: RescoreRun = RescoreRun.objects.for_org(org).get(pk=run.pk)
    assert done.status == "done", done.status
    print(f"   {done.done_count:,} items, {done.changed_count:,} moved, {seconds:.0f} s", flush=True)
    return seconds


def _quality(given: argparse.Namespace) -> dict[str, Any]:
    """How outcomes are ranked by weights made by hand, by learned ones, and by logistic regression."""
    return {
        "generated": asdict(quality.on_generated(outcomes=given.outcomes, unknown=0)),
        "unknown": asdict(quality.on_generated(outcomes=given.outcomes, unknown=0.2)),
        "history": asdict(quality.on_history(_organization(given.org), at=datetime.now(UTC))),
    }


def _organization(org_id: int) -> Organization:
    with system_scope("bench"):
        found: Organization = Organization.objects.get(pk=org_id)
    return found


def _analyse() -> None:
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


if __name__ == "__main__":
    main()
