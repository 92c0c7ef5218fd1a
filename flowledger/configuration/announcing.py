"""Telling of planned changes when their time comes: what was built from a rule hears that another value holds now.

Readers need none of this; they see a planned value as soon as it holds.
"""

from __future__ import annotations

from datetime import datetime

from flowledger.configuration import sql
from flowledger.configuration.events import ConfigTookEffect
from flowledger.outbox.recording import record_events
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.scope import system_scope

BATCH = 500
ACTOR = Actor.system("configuration")


def announce_changes(*, at: datetime, limit: int = BATCH) -> int:
    """Record `config.took_effect` for every version that began or ended by then; answers how many events.

    Each is told of once, however many do this at the same time: the version is locked and marked in the transaction of
    its event. An end where another version begins is not told of, that one tells of itself.
    """
    told = 0
    while True:
        with system_scope("announce configuration"):
            come = sql.take_come(at=at, limit=limit)
            told += record_events(
                facts=[(each.org_id, _took_effect(each)) for each in come if not (each.has_ended and each.is_followed)],
                actor=ACTOR,
                at=at,
            )
        if len(come) < limit:
            return told


def _took_effect(come: sql.Come) -> ConfigTookEffect:
    return ConfigTookEffect(
        config_value_id=come.id,
        rule_type=come.rule_type,
        key=come.key,
        version=come.version,
        has_ended=come.has_ended,
        effective_at=come.moment.isoformat(),
    )
