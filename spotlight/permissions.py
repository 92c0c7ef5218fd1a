"""The verbs of spotlight and the weakest role that may use each (pipeline.md, Tenancy)."""

from flowledger.tenancy.actors import Role
from flowledger.tenancy.permissions import register_verbs

register_verbs(
    {
        "edit_spotlight": Role.MANAGER,
        "try_spotlight": Role.VIEWER,
        "rescore": Role.REP,
        "rescore_all": Role.MANAGER,
        "override_score": Role.MANAGER,
        "route_signal": Role.REP,
        "review_signal": Role.REP,
        "learn_weights": Role.MANAGER,
        "enrich": Role.REP,
        "watch_match_rates": Role.MANAGER,
    }
)
