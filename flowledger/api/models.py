"""What the kernel remembers: answers by idempotency key, and families of refresh tokens."""

from __future__ import annotations

from django.db import models

from flowledger.tenancy.checks import allow_cross_tenant_index
from flowledger.tenancy.constraints import tenant_constraints
from flowledger.tenancy.models import OrgModel, User

# The sweeps that they serve cross organisations: both purges.
allow_cross_tenant_index("idempotency_record_purge", "token_family_purge")


class IdempotencyRecord(OrgModel):
    """The first answer to a POST that carried an Idempotency-Key, replayed to the same caller.

    Written by `idempotency.claim` in the request's own transaction: visible to others means answered.
    """

    actor_key = models.CharField(max_length=40, help_text="Kind and identifier of the caller, for example user:12.")
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64, help_text="SHA-256 of method, address and body.")
    status = models.PositiveSmallIntegerField(default=0)
    headers = models.JSONField(default=dict)
    body = models.BinaryField(default=b"")

    class Meta(OrgModel.Meta):
        constraints = [
            *tenant_constraints("idempotency_record"),
            models.UniqueConstraint(fields=["org", "actor_key", "key"], name="idempotency_record_key"),
        ]
        indexes = [
            # Cross-tenant: the purge deletes what is older than a day.
            models.Index(fields=["created_at"], name="idempotency_record_purge"),
        ]

    def __str__(self) -> str:
        return f"{self.actor_key} {self.key}"


class TokenFamily(OrgModel):
    """One sign-in and all refresh tokens that descend from it; only the newest of them is good."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+", db_index=False)
    current_jti = models.CharField(max_length=64)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)
    revoked_reason = models.CharField(max_length=40, default="", blank=True)

    class Meta(OrgModel.Meta):
        verbose_name = "token family"
        verbose_name_plural = "token families"
        constraints = [*tenant_constraints("token_family")]
        indexes = [
            # A user's sign-ins in one organisation.
            models.Index(fields=["org", "user"], name="token_family_user"),
            # Cross-tenant: the purge deletes what has expired.
            models.Index(fields=["expires_at"], name="token_family_purge"),
        ]

    def __str__(self) -> str:
        return f"{self.user} since {self.created_at:%Y-%m-%d %H:%M}"
