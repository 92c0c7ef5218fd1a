"""Organisations, their members and keys, and the base of every tenant model."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from datetime import datetime
from typing import Any, ClassVar, Self

from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.base import ModelBase
from django.db.models.functions import Lower
from django_fsm import FSMFieldMixin

from flowledger.tenancy.actors import Role
from flowledger.tenancy.constraints import RowSecurity, tenant_constraints
from flowledger.tenancy.querysets import OrgManager, OrgQuerySet


class User(AbstractUser):
    """A person who logs in; what they may do is decided by their memberships."""

    class Meta(AbstractUser.Meta):
        db_table = "tenancy_user"


class Organization(models.Model):
    """The owner of every tenant row. Its own row is visible inside its own scope only."""

    name = models.CharField(max_length=200)
    timezone = models.CharField(max_length=64, default="UTC", help_text="IANA name, for example Europe/Berlin.")
    default_region = models.CharField(
        max_length=2, default="US", help_text="ISO 3166 country that phone numbers without a prefix belong to."
    )
    currency = models.CharField(max_length=3, default="USD", help_text="ISO 4217 code for amounts without one.")
    is_demo = models.BooleanField(default=False, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = "organisation"
        verbose_name_plural = "organisations"
        constraints = [
            RowSecurity(name="organization_row_security", column="id"),
            models.UniqueConstraint(Lower("name"), name="organization_name"),
            models.CheckConstraint(condition=~models.Q(name=""), name="organization_has_name"),
        ]

    def __str__(self) -> str:
        return self.name


class OrgModel(models.Model):
    """Base of every row that belongs to an organisation.

    Subclasses write `class Meta(OrgModel.Meta)` and begin their constraints with `tenant_constraints(...)`; the
    system checks refuse them otherwise. `row_version` grows with every stored change and is the source of ETags;
    callers of `save()` on an existing row hold its lock.
    """

    org = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="+", db_index=False, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    row_version = models.PositiveIntegerField(default=1, editable=False)

    # Subclasses put managers over querysets of their own in their place.
    all_orgs: ClassVar[Any] = models.Manager.from_queryset(OrgQuerySet)()
    objects: ClassVar[Any] = OrgManager.from_queryset(OrgQuerySet)()

    class Meta:
        abstract = True
        default_manager_name = "all_orgs"
        base_manager_name = "all_orgs"

    def save(
        self,
        *,
        force_insert: bool | tuple[ModelBase, ...] = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Iterable[str] | None = None,
    ) -> None:
        """Store the row; an update raises `row_version` and stamps `updated_at` whatever fields were named."""
        if not self._state.adding:
            self.row_version += 1
            if update_fields is not None:
                update_fields = {*update_fields, "row_version", "updated_at"}
        super().save(force_insert=force_insert, force_update=force_update, using=using, update_fields=update_fields)

    def refresh_from_db(
        self,
        using: str | None = None,
        fields: Iterable[str] | None = None,
        from_queryset: models.QuerySet[Self] | None = None,
    ) -> None:
        """Read the row again; a protected state field accepts its stored value only when it holds none."""
        for field in self._meta.concrete_fields:
            if isinstance(field, FSMFieldMixin) and (fields is None or field.name in fields):
                self.__dict__.pop(field.name, None)
        super().refresh_from_db(using=using, fields=fields, from_queryset=from_queryset)


class Membership(OrgModel):
    """A user's place in an organisation."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships", db_index=False)
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.REP)
    is_active = models.BooleanField(default=True, help_text="Off: the person keeps their history and loses access.")

    class Meta(OrgModel.Meta):
        constraints = [
            *tenant_constraints("membership"),
            models.UniqueConstraint(fields=["org", "user"], name="membership_user"),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="membership_role"),
        ]
        indexes = [
            # A cross-tenant index: log-in lists the organisations of one user.
            models.Index(fields=["user"], name="membership_login"),
        ]

    def __str__(self) -> str:
        return f"{self.user} ({self.get_role_display()})"


class ApiKey(OrgModel):
    """A machine's credential: hashed at rest, limited by scopes and a role, shown in full once.

    The text is `fl_<org>_<id>_<secret>`: it names its organisation, so that even the look-up runs inside the scope.
    """

    PREFIX: ClassVar[str] = "fl"

    name = models.CharField(max_length=100)
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.MANAGER)
    scopes = ArrayField(models.CharField(max_length=60), default=list, blank=True)
    secret_sha256 = models.CharField(max_length=64, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_by = models.ForeignKey(
        User, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False, editable=False
    )

    class Meta(OrgModel.Meta):
        verbose_name = "API key"
        constraints = [
            *tenant_constraints("api_key"),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="api_key_role"),
        ]

    def __str__(self) -> str:
        return self.name

    def renew_secret(self) -> str:
        """Replace the secret and return it; 256 bits from the operating system, so a plain SHA-256 suffices."""
        secret = secrets.token_urlsafe(32)
        self.secret_sha256 = self._digest(secret)
        return secret

    def text_for(self, secret: str) -> str:
        """The credential to hand out, once the row has its id."""
        return f"{self.PREFIX}_{self.org_id}_{self.pk}_{secret}"

    @classmethod
    def parse(cls, text: str) -> tuple[int, int, str] | None:
        """(organisation id, key id, secret) of a credential, or None when it is not one."""
        prefix, _, rest = text.partition("_")
        org_id, _, rest = rest.partition("_")
        key_id, _, secret = rest.partition("_")
        numbers = (org_id, key_id)
        if prefix != cls.PREFIX or not secret or not all(n.isascii() and n.isdigit() and len(n) <= 18 for n in numbers):
            return None
        return int(org_id), int(key_id), secret

    def matches(self, secret: str) -> bool:
        """Whether this is the secret, in constant time."""
        return hmac.compare_digest(self.secret_sha256, self._digest(secret))

    def is_live(self, at: datetime) -> bool:
        """Whether the key still opens anything at the given time."""
        return self.revoked_at is None and (self.expires_at is None or at < self.expires_at)

    def allows(self, scope: str) -> bool:
        """Whether the key carries a scope such as `signals:write`; write implies read."""
        resource, _, action = scope.partition(":")
        return scope in self.scopes or (action == "read" and f"{resource}:write" in self.scopes)

    @staticmethod
    def _digest(secret: str) -> str:
        return hashlib.sha256(secret.encode()).hexdigest()
