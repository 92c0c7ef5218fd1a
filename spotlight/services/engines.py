"""Compiled profiles, kept while they are asked for: an engine remembers what it has found out about values.

Part of the use cases that score.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock

from spotlight.evaluation.engine import Engine, compile_profiles
from spotlight.evaluation.types import Profile, Scale

# Engines that a process keeps; the one asked for longest ago is forgotten first.
MOST_KEPT = 32
# An engine keeps its profiles alive, so that their identities are theirs alone.
_kept: OrderedDict[tuple[tuple[int, ...], Scale], tuple[tuple[Profile, ...], Engine]] = OrderedDict()
_lock = Lock()


def engine_of(profiles: Sequence[Profile], scale: Scale) -> Engine:
    """The engine for these profiles in this order, compiled once for the same objects."""
    wanted = tuple(profiles)
    key = (tuple(map(id, wanted)), scale)
    with _lock:
        held = _kept.get(key)
        if held is not None:
            _kept.move_to_end(key)
            return held[1]
    engine = compile_profiles(wanted, scale)
    with _lock:
        _kept[key] = (wanted, engine)
        while len(_kept) > MOST_KEPT:
            _kept.popitem(last=False)
    return engine
