"""Who does something, through which door, and with which role."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from django.db import models

if TYPE_CHECKING:
    from flowledger.tenancy.models import ApiKey, Membership, User


class Role(models.TextChoices):
    """Roles of a membership, weakest first; the order is the order of power."""

    VIEWER = "viewer", "Viewer"
    REP = "rep", "Representative"
    MANAGER = "manager", "Manager"
    ADMIN = "admin", "Administrator"

    @property
    def rank(self) -> int:
        return list(Role).index(self)

    def at_least(self, other: Role) -> bool:
        """Whether this role may do what `other` may do."""
        return self.rank >= other.rank


class Origin(models.TextChoices):
    """The door a change came through; handlers with outside effects skip `import`."""

    USER = "user", "User"
    API = "api", "API"
    IMPORT = "import", "Import"
    RULE = "rule", "Rule"
    ASSISTANT = "assistant", "Assistant"
    SYSTEM = "system", "System"


class ActorKind(models.TextChoices):
    """What kind of being acts."""

    USER = "user", "User"
    API_KEY = "api_key", "API key"
    ASSISTANT = "assistant", "Assistant"
    RULE = "rule", "Rule"
    SYSTEM = "system", "System"


@dataclass(frozen=True)
class Actor:
    """The one who asks for a change: identity for the record, role for permission, origin for the handlers.

    `pk` is the row of the kind (user, API key); `user_id` is set when a person stands behind the actor.
    """

    kind: ActorKind
    pk: int | None
    role: Role
    label: str
    origin: Origin
    user_id: int | None = None
    request_id: str = ""

    @classmethod
    def for_membership(cls, membership: Membership, *, origin: Origin, request_id: str = "") -> Actor:
        user = membership.user
        return cls(
            kind=ActorKind.USER,
            pk=user.pk,
            role=Role(membership.role),
            label=user.get_username(),
            origin=origin,
            user_id=user.pk,
            request_id=request_id,
        )

    @classmethod
    def for_superuser(cls, user: User, *, request_id: str = "") -> Actor:
        """A superuser working in an organisation that they chose in the back office."""
        return cls(
            kind=ActorKind.USER,
            pk=user.pk,
            role=Role.ADMIN,
            label=user.get_username(),
            origin=Origin.USER,
            user_id=user.pk,
            request_id=request_id,
        )

    @classmethod
    def for_api_key(cls, key: ApiKey, *, request_id: str = "") -> Actor:
        return cls(
            kind=ActorKind.API_KEY,
            pk=key.pk,
            role=Role(key.role),
            label=f"key {key.name}",
            origin=Origin.API,
            request_id=request_id,
        )

    @classmethod
    def system(cls, label: str, *, origin: Origin = Origin.SYSTEM) -> Actor:
        """The application itself: a sweep, a handler, a command. `label` names which."""
        return cls(kind=ActorKind.SYSTEM, pk=None, role=Role.ADMIN, label=label, origin=origin)

    @classmethod
    def importer(cls, label: str = "history import") -> Actor:
        """The import: its events reach every handler but those with outside effects."""
        return cls.system(label, origin=Origin.IMPORT)

    def through(self, origin: Origin) -> Actor:
        """The same actor through another door."""
        return replace(self, origin=origin)
