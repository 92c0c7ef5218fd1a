"""One function per use case of spotlight."""

from spotlight.services.criteria import create_criterion, delete_criterion, update_criterion
from spotlight.services.enrichment import store_facts
from spotlight.services.fields import (
    create_field,
    create_rule,
    delete_field,
    delete_rule,
    renew_profiles,
    update_field,
    update_rule,
)
from spotlight.services.following import follow_profiles, follow_rules, follow_subjects
from spotlight.services.learning import (
    accept_weights,
    learning_readiness,
    propose_weights,
    reject_weights,
    revert_weights,
    supersede_proposals,
)
from spotlight.services.match_alerts import watch_match_rates
from spotlight.services.overrides import end_override, expire_overrides, override_score
from spotlight.services.previews import preview_spotlight, try_spotlight
from spotlight.services.profiles import (
    apply_weights,
    clone_spotlight,
    create_spotlight,
    delete_spotlight,
    revert_spotlight,
    update_spotlight,
)
from spotlight.services.rescores import cancel_rescore, start_rescore
from spotlight.services.reviews import accept_review, accept_reviews, dismiss_review, dismiss_reviews, follow_decisions
from spotlight.services.routing import route_signals
from spotlight.services.scoring import Scored, evaluate_data, evaluate_items
from spotlight.services.stories import history_of_item, scores_of_item
from spotlight.services.trials import evaluate_once

__all__ = [
    "Scored",
    "accept_review",
    "accept_reviews",
    "accept_weights",
    "apply_weights",
    "cancel_rescore",
    "clone_spotlight",
    "create_criterion",
    "create_field",
    "create_rule",
    "create_spotlight",
    "delete_criterion",
    "delete_field",
    "delete_rule",
    "delete_spotlight",
    "dismiss_review",
    "dismiss_reviews",
    "end_override",
    "evaluate_data",
    "evaluate_items",
    "evaluate_once",
    "expire_overrides",
    "follow_decisions",
    "follow_profiles",
    "follow_rules",
    "follow_subjects",
    "history_of_item",
    "learning_readiness",
    "override_score",
    "preview_spotlight",
    "propose_weights",
    "reject_weights",
    "renew_profiles",
    "revert_spotlight",
    "revert_weights",
    "route_signals",
    "scores_of_item",
    "start_rescore",
    "store_facts",
    "supersede_proposals",
    "try_spotlight",
    "update_criterion",
    "update_field",
    "update_rule",
    "update_spotlight",
    "watch_match_rates",
]
