"""The verbs on clients and contacts and the weakest role that may use each; both belong to the whole team."""

from flowledger.tenancy.actors import Role
from flowledger.tenancy.permissions import register_verbs

register_verbs(
    {
        "edit_client": Role.REP,
        "edit_contact": Role.REP,
        "edit_onboarding": Role.REP,
        "delete_client": Role.MANAGER,
        "delete_contact": Role.MANAGER,
        "resolve_identity": Role.REP,
        "merge": Role.MANAGER,
        "keep_apart": Role.REP,
    }
)
