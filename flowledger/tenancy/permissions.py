"""One table of verbs and the role each needs, and the one function that services ask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowledger.errors import PermissionRefused
from flowledger.tenancy.actors import Actor, Role

_verbs: dict[str, Role] = {
    "view": Role.VIEWER,
    "manage_members": Role.ADMIN,
    "manage_api_keys": Role.ADMIN,
}


def register_verbs(verbs: Mapping[str, Role]) -> None:
    """Add an app's verbs with the weakest role that may use each. Raises ValueError on a contradiction."""
    for verb, role in verbs.items():
        if _verbs.setdefault(verb, role) is not role:
            raise ValueError(f"The verb '{verb}' is already registered for {_verbs[verb]}.")


def required_role(verb: str) -> Role:
    """The weakest role that may use the verb. Raises KeyError for an unregistered verb."""
    return _verbs[verb]


def authorize(actor: Actor, verb: str, item: Any = None) -> None:
    """Refuse unless the actor's role reaches the verb and, for representatives, the item is theirs or nobody's.

    Raises PermissionRefused with a sentence that says which role or owner could do it.
    """
    needed = _verbs[verb]
    if not actor.role.at_least(needed):
        raise PermissionRefused(
            f"This needs the role {needed.value}; you act as {actor.role.value}. "
            f"Ask a {needed.value} of your organisation."
        )
    if actor.role is Role.REP and needed is Role.REP and item is not None:
        owner_id = getattr(item, "owner_id", None)
        if owner_id is not None and owner_id != actor.user_id:
            raise PermissionRefused(
                "This item belongs to somebody else; a representative works on their own and on unowned items. "
                "Ask its owner or a manager."
            )


def may(actor: Actor, verb: str, item: Any = None) -> bool:
    """Whether `authorize` would let the actor pass; for pages that show or hide a button."""
    try:
        authorize(actor, verb, item)
    except PermissionRefused:
        return False
    return True
