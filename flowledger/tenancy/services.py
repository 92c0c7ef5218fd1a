"""Use cases of organisations: founding one, membership, API keys."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction

from flowledger.errors import InvalidInput
from flowledger.tenancy.actors import Actor, Role
from flowledger.tenancy.models import ApiKey, Membership, Organization, User
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.scope import org_scope, system_scope
from flowledger.tenancy.usecases import use_case

API_KEY_RESOURCES = ("signals", "workstream", "clients", "memory", "outbox")
API_KEY_SCOPES = tuple(f"{resource}:{action}" for resource in API_KEY_RESOURCES for action in ("read", "write"))


@transaction.atomic
def bootstrap_organization(*, name: str, username: str, password: str, role: Role) -> tuple[Organization, User]:
    """Found an organisation with a first member, or bring an existing pair to the given state.

    Idempotent: the organisation is found by name (case aside), the user by user name; the password and the role are
    set to what was given. The user may enter the back office. Raises InvalidInput for a blank name, user name or
    password.
    """
    for label, value in (("name", name), ("username", username), ("password", password)):
        if not value.strip():
            raise InvalidInput(f"The {label} must not be blank.", fields={label: ["This must not be blank."]})
    with system_scope("found an organisation"):
        # Two bootstraps of one name at once: the second waits for the first and then finds its rows.
        Organization.objects.bulk_create([Organization(name=name.strip())], ignore_conflicts=True)
        org = Organization.objects.get(name__iexact=name.strip())
        User.objects.bulk_create([User(username=username.strip())], ignore_conflicts=True)
        user = User.objects.select_for_update().get(username=username.strip())
        if not user.check_password(password):
            user.set_password(password)
        user.is_staff = user.is_active = True
        user.save(update_fields=["password", "is_staff", "is_active"])
    with org_scope(org):
        Membership.objects.for_org(org).bulk_create([Membership(org=org, user=user, role=role)], ignore_conflicts=True)
        membership = Membership.objects.for_org(org).locked().get(user=user)
        if (membership.role, membership.is_active) != (role.value, True):
            membership.role, membership.is_active = role, True
            membership.save(update_fields=["role", "is_active"])
    return org, user


def organizations_of(user: User) -> list[Membership]:
    """The live memberships of a user with their organisations, by organisation name."""
    with system_scope("list a user's organisations"):
        rows = Membership.all_orgs.filter(user=user, is_active=True).select_related("org", "user")
        return list(rows.order_by("org__name", "pk"))


@use_case
def issue_api_key(
    *,
    org: Organization,
    name: str,
    role: Role,
    scopes: Iterable[str],
    expires_at: datetime | None,
    actor: Actor,
    at: datetime,
) -> tuple[ApiKey, str]:
    """A new key and its text, which is never shown again.

    Raises PermissionRefused below administrator, InvalidInput for an unknown scope or an expiry in the past.
    """
    authorize(actor, "manage_api_keys")
    wanted = sorted(set(scopes))
    unknown = [scope for scope in wanted if scope not in API_KEY_SCOPES]
    if unknown or not wanted:
        known = ", ".join(API_KEY_SCOPES)
        sentence = f"Unknown scopes: {', '.join(unknown)}." if unknown else "A key needs at least one scope."
        raise InvalidInput(sentence, fields={"scopes": [f"{sentence} Choose from: {known}."]})
    if expires_at is not None and expires_at <= at:
        raise InvalidInput("The expiry lies in the past.", fields={"expires_at": ["This must lie in the future."]})
    key = ApiKey(org=org, name=name, role=role, scopes=wanted, expires_at=expires_at, created_by_id=actor.user_id)
    secret = key.renew_secret()
    key.save()
    return key, key.text_for(secret)


@use_case
def rotate_api_key(*, org: Organization, key_id: int, actor: Actor, at: datetime) -> tuple[ApiKey, str]:
    """A new secret for a live key; the old one stops at once. Raises PermissionRefused, NotFound, InvalidInput."""
    authorize(actor, "manage_api_keys")
    key = ApiKey.objects.for_org(org).locked().fetch(key_id)
    if not key.is_live(at):
        raise InvalidInput("A revoked or expired key cannot be rotated; issue a new one.")
    secret = key.renew_secret()
    key.save(update_fields=["secret_sha256"])
    return key, key.text_for(secret)


@use_case
def revoke_api_key(*, org: Organization, key_id: int, actor: Actor, at: datetime) -> ApiKey:
    """End a key for good; revoking it again changes nothing. Raises PermissionRefused, NotFound."""
    authorize(actor, "manage_api_keys")
    key: ApiKey = ApiKey.objects.for_org(org).locked().fetch(key_id)
    if key.revoked_at is None:
        key.revoked_at = at
        key.save(update_fields=["revoked_at"])
    return key


def touch_api_key(*, org: Organization, key_id: int, at: datetime, stale_before: datetime) -> None:
    """Note the use of a key unless that was done after `stale_before`; never waits for a lock on the key."""
    rows = ApiKey.objects.for_org(org).filter(pk=key_id)
    row = rows.select_for_update(skip_locked=True, no_key=True).exclude(last_used_at__gt=stale_before).first()
    if row is not None:
        rows.update(last_used_at=at, row_version=row.row_version)
