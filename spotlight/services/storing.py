"""Storing what a slice of items scores, with history, the best of each item, and the events that tell of it.

Part of the use cases that score. Whoever stores holds the profiles, then candidates, then scores, then the best of each
item, all in the order of their keys.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from flowledger.errors import Conflict, NotFound
from flowledger.outbox import causes as outbox
from flowledger.outbox.causes import caused_by
from flowledger.outbox.recording import record_events
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from spotlight import events
from spotlight.evaluation.engine import ALGORITHM_VERSION, Engine
from spotlight.evaluation.types import RECOMMENDATIONS, Evaluation, Profile
from spotlight.models import Cause
from spotlight.services.definitions import profile_at, scale_of
from spotlight.services.engines import engine_of
from spotlight.services.facts import facts_of
from spotlight.sql import scores as sql
from spotlight.sql.scores import Best, NewChange, NewScore, Settled, Stored
from workstream import services as workstream
from workstream.machines import SignalDisposition
from workstream.models import Candidate, Signal

# Each time somebody else was quicker; several times in a row means that it does not end.
MOST_ROUNDS = 5
# Scores in an event; the rest of them is in the database, like these.
MOST_RESULTS = 100

_RANK = {name: place for place, name in enumerate(RECOMMENDATIONS)}


class Moved(NamedTuple):
    """A score that is new or has moved, as the event tells it."""

    spotlight_id: int
    name: str
    version: int
    match_score: Decimal
    recommendation: str
    coverage: Decimal
    is_override: bool = False
    previous_score: Decimal | None = None


@dataclass
class Storing:
    """One slice of items of one kind, in the surrounding transaction, and what is to be told of them."""

    org: Organization
    item_type: str
    cause: Cause
    actor: Actor
    at: datetime
    # The events that lead to those of items.
    causes: Mapping[int, outbox.Cause] = field(default_factory=dict)
    evaluated: int = 0
    moved: dict[int, list[Moved]] = field(default_factory=lambda: defaultdict(list))
    best: dict[int, Best | None] = field(default_factory=dict)
    _own: dict[int, Best] = field(default_factory=dict)
    _field_names: dict[tuple[int, int], Mapping[int, str]] = field(default_factory=dict)

    def evaluate(self, item_ids: Sequence[int], profiles: tuple[Profile, ...]) -> None:
        """Score the items and settle the best of each. Raises Conflict when others keep scoring the same items."""
        items = self._held(item_ids)
        self.evaluated = len(items)
        if profiles:
            engine = engine_of(profiles, scale_of(self.org))
            waiting = items
            for _ in range(MOST_ROUNDS):
                if not (waiting := self._round(waiting, engine)):
                    break
            else:
                raise Conflict("These items are being scored by others at this very moment; try again.")
        self.settle(items)

    def settle(self, item_ids: Sequence[int]) -> None:
        """Bring the best of each item up to its scores and standing overrides."""
        if not item_ids:
            return
        of: dict[str, Any] = {"org_id": self.org.pk, "item": self.item_type}
        held = sql.hold_fits(**of, items=item_ids)
        missing = [(pk, self._own[pk]) for pk in item_ids if pk not in held and pk in self._own]
        opened = sql.open_fits(**of, fits=missing, at=self.at) if missing else set()
        for each in sql.settle_fits(**of, items=item_ids, ranks=RECOMMENDATIONS, at=self.at):
            self._note(each, is_new=each.item_id in opened)
        if self.item_type == "candidate":
            workstream.set_icp(
                org=self.org,
                scores={pk: icp_of(self.best.get(pk)) for pk in item_ids},
                actor=self.actor,
                at=self.at,
            )

    def announce(self) -> int:
        """Record one event for each item with a score that is new or has moved; answers how many there are."""
        record_events(facts=self._facts(), actor=self.actor, at=self.at)
        return len(self.moved)

    def _held(self, item_ids: Sequence[int]) -> list[int]:
        """Those of the items that are scored; candidates are locked, because their customer fit follows."""
        rows: Any
        if self.item_type == "candidate":
            rows = Candidate.objects.for_org(self.org).locked()
        else:
            rows = Signal.objects.for_org(self.org).exclude(disposition=SignalDisposition.REJECTED)
        return list(rows.filter(pk__in=item_ids).order_by("pk").values_list("pk", flat=True))

    def _round(self, items: Sequence[int], engine: Engine) -> list[int]:
        """Compare what the items score with what is stored, and store the difference.

        Answers the items of which somebody else has stored a score meanwhile, perhaps by newer facts. Scores are read
        before facts, so that who finds the scores unchanged has the newest facts.
        """
        of: dict[str, Any] = {"org_id": self.org.pk, "item": self.item_type}
        stored = sql.stored(**of, items=items, spotlights=[profile.spotlight_id for profile in engine.profiles])
        facts = facts_of(org=self.org, item_type=self.item_type, item_ids=items)
        found: list[tuple[NewScore, Moved | None, NewChange | None]] = []
        for pk in items:
            if pk in facts:
                found += self._compared(pk, engine.evaluate(facts[pk]), engine.profiles, stored)
        if not found:
            return []
        written = sql.store(**of, scores=[score for score, _, _ in found], algorithm=ALGORITHM_VERSION, at=self.at)
        changes = []
        behind = set()
        for score, moved, change in found:
            if (score.item_id, score.spotlight_id) not in written:
                behind.add(score.item_id)
                continue
            if moved is not None:
                self.moved[score.item_id].append(moved)
            if change is not None:
                changes.append(change)
        if changes:
            sql.add_changes(**of, changes=changes, cause=self.cause.value, at=self.at)
        return sorted(behind)

    def _compared(
        self,
        item_id: int,
        evaluations: Sequence[Evaluation],
        profiles: Sequence[Profile],
        stored: Mapping[tuple[int, int], Stored],
    ) -> Iterator[tuple[NewScore, Moved | None, NewChange | None]]:
        """The scores to store: new ones, those that differ, and those of an older version."""
        best: tuple[Any, ...] | None = None
        for profile, found in zip(profiles, evaluations, strict=True):
            spotlight_id, version, score, recommendation, coverage, matched, total, _, components = found
            place = (_RANK[recommendation], -score, -coverage, spotlight_id)
            if best is None or place < best[0]:
                best = (place, profile, found)
            before = stored.get((item_id, spotlight_id))
            change = None
            if before is not None:
                if before.version > version:
                    continue
                is_same = before.match_score == score and before.recommendation == recommendation
                differing = self._differing(before, profile, found)
                if is_same and differing is None and before.version == version and before.coverage == coverage:
                    continue
                if differing or not is_same:
                    change = NewChange(
                        item_id,
                        spotlight_id,
                        before.match_score,
                        score,
                        before.recommendation,
                        recommendation,
                        before.version,
                        version,
                        json.dumps(differing or [], ensure_ascii=False),
                    )
            moved = None
            if before is None or change is not None:
                moved = Moved(
                    spotlight_id,
                    profile.name,
                    version,
                    score,
                    recommendation,
                    coverage,
                    previous_score=None if before is None else before.match_score,
                )
            row_version = 1 if before is None else before.row_version + 1
            yield (
                NewScore(
                    row_version,
                    item_id,
                    spotlight_id,
                    version,
                    score,
                    recommendation,
                    coverage,
                    matched,
                    total,
                    components,
                ),
                moved,
                change,
            )
        if best is not None:
            _, profile, found = best
            self._own[item_id] = Best(
                found.spotlight_id,
                profile.name,
                found.version,
                found.match_score,
                found.recommendation,
                found.coverage,
                is_override=False,
            )

    def _differing(self, before: Stored, profile: Profile, after: Evaluation) -> list[list[Any]] | None:
        """The components whose credit moved, as history keeps them; None when nothing differs, not even what was seen.

        A criterion that came or went has null on its other side.
        """
        if before.components == after.packed_json:
            return None
        old = {each[0]: each for each in json.loads(before.components)}
        new = {each[0]: each for each in json.loads(after.packed_json)}
        if old == new:
            return None
        names = {criterion.criterion_id: criterion.field_name for criterion in profile.criteria}
        if not names.keys() >= old.keys():
            names = {**self._names_at(before.spotlight_id, before.version), **names}
        moved = []
        for key in sorted(old.keys() | new.keys()):
            _, credit_before, seen_before, _ = old.get(key) or (key, None, None, "")
            _, credit_after, seen_after, source = new.get(key) or (key, None, None, "")
            if credit_before != credit_after or (key in old) != (key in new):
                moved.append([key, names.get(key, ""), credit_before, credit_after, seen_before, seen_after, source])
        return moved

    def _names_at(self, spotlight_id: int, version: int) -> Mapping[int, str]:
        """The fields of the criteria of an earlier version."""
        known = self._field_names.get((spotlight_id, version))
        if known is None:
            try:
                profile = profile_at(self.org, spotlight_id, version)
            except NotFound:
                known = {}
            else:
                known = {each.criterion_id: each.field_name for each in profile.criteria}
            self._field_names[spotlight_id, version] = known
        return known

    def _note(self, settled: Settled, *, is_new: bool) -> None:
        self.best[settled.item_id] = settled.best
        if settled.is_moved and not is_new:
            # An item whose best is another one is told of, even when no score of it moved.
            self.moved.setdefault(settled.item_id, [])

    def _facts(self) -> Iterator[tuple[int, events.SpotlightEvaluated]]:
        """One event after the other, each written while its cause is bound."""
        for pk in sorted(self.moved):
            cause = self.causes.get(pk)
            with nullcontext() if cause is None else caused_by(cause):
                yield self.org.pk, self._told(pk)

    def _told(self, item_id: int) -> events.SpotlightEvaluated:
        best = self.best.get(item_id)
        moved = sorted(self.moved[item_id], key=lambda each: (_RANK[each.recommendation], -each.match_score))
        return events.SpotlightEvaluated(
            item_type=self.item_type,
            item_id=item_id,
            signal_id=item_id if self.item_type == "signal" else None,
            cause=self.cause.value,
            algorithm_version=ALGORITHM_VERSION,
            best=None if best is None else _as_json(best),
            results=[
                {
                    **_as_json(each),
                    "previous_score": None if each.previous_score is None else float(each.previous_score),
                }
                for each in moved[:MOST_RESULTS]
            ],
        )


def icp_of(best: Best | None) -> tuple[Decimal | None, str]:
    """A best score as a candidate carries it: to three decimals, with the band that the Today panel knows."""
    if best is None:
        return None, ""
    return best.match_score.quantize(Decimal("0.001")), ICP_BANDS[best.recommendation]


# The bands of `ranking_rule/today`; what matches nothing is in none of them.
ICP_BANDS = dict(zip(RECOMMENDATIONS, ("high", "med", "low", ""), strict=True))


def _as_json(score: Best | Moved) -> dict[str, Any]:
    return {
        "spotlight_id": score.spotlight_id,
        "name": score.name,
        "version": score.version,
        "match_score": float(score.match_score),
        "recommendation": score.recommendation,
        "coverage": float(score.coverage),
        "is_override": score.is_override,
    }
