"""How well scores rank outcomes: a profile made by hand, the same with learned weights, and logistic regression.

All three see the same criteria and are judged by the latest three tenths of the outcomes, which took no part in the
learning. `history` is the imported CRM data, under a profile that was written down before anybody looked at who won;
it holds little to be found. `generated` outcomes follow known strengths, with a criterion that speaks against winning
and one that says nothing; of `unknown` a fifth of the values are missing.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope
from spotlight import services
from spotlight.learning import Lesson, Quality, learn
from tests.spotlight.generated import generated, wishes
from workstream.history import DEFAULT_MAPPING, HistoryReport, import_history, load_mapping
from workstream.history.reading import Export

HISTORY = Path(__file__).resolve().parents[4] / "shared" / "data" / "crm-sales-opportunities"
SEED = 41
# What strengthens the odds of winning, and what somebody believes does: roughly right, with two mistakes.
STRENGTHS = (1.0, 0.8, 0.6, 0.45, 0.3, 0.2, 0.0, -0.3)
BELIEVED = (15.0, 20.0, 10.0, 5.0, 10.0, 5.0, 20.0, 15.0)
BY_HAND: tuple[tuple[str, str, str, Any, float], ...] = (
    ("industry", "text", "in", ["technology", "software", "finance", "telecommunications"], 20),
    ("annual_revenue", "number", ">=", 500_000_000, 20),
    ("employees", "number", "between", [1_000, 10_000], 15),
    ("country", "text", "=", "US", 10),
    ("product_series", "text", "in", ["GTX", "GTK"], 15),
    ("regional_office", "text", "in", ["West", "East"], 10),
    ("year_established", "number", "<=", 2000, 10),
)


def on_generated(*, outcomes: int, unknown: float) -> Quality:
    """Learn from outcomes that follow STRENGTHS what BELIEVED gets wrong."""
    made = generated(STRENGTHS, outcomes, seed=SEED, unknown=unknown)
    return _shown(learn(wishes(BELIEVED), made, held_back=0.3))


def on_history(org: Organization, *, at: datetime) -> Quality:
    """Import the history, make the profile and have weights proposed as a manager would."""
    actor = Actor.importer()
    export = Export(HISTORY, load_mapping(DEFAULT_MAPPING), HistoryReport())
    import_history(export=export, org=org, actor=actor, at=at)
    criteria = [
        {"field_name": name, "field_type": kind, "operator": operator, "value": value, "weight": weight}
        for name, kind, operator, value, weight in BY_HAND
    ]
    fields = {"name": "Established buyers", "domain": "hardware"}
    keys: dict[str, Any] = {"org": org, "actor": Actor.system("bench"), "at": at}
    with org_scope(org):
        spotlight = services.create_spotlight(fields=fields, criteria=criteria, **keys)
        proposal = services.propose_weights(spotlight_id=spotlight.pk, **keys)
    for effect in proposal.evidence["effects"]:
        print(f"   {effect['label']}: {effect['sentence']}", flush=True)
    print(f"   {proposal.evidence['sentence']}", flush=True)
    return Quality(**proposal.evidence["quality"])


def _shown(lesson: Lesson) -> Quality:
    print(f"   weights {', '.join(f'{weight:g}' for weight in lesson.weights)}. {lesson.sentence}", flush=True)
    return lesson.quality
