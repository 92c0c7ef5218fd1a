"""Use cases of an organisation's administrators: members and their roles.

They live here and not in tenancy because an invitation is an email, and emails are the outbox's.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from django.db.models import Q

from flowledger.errors import Conflict, InvalidInput
from flowledger.outbox.emails import queue_email
from flowledger.tenancy.actors import Actor, Role
from flowledger.tenancy.models import Membership, Organization, User
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case

# Emails under such a key may hold a personal link; the back office never shows their text.
INVITATION_KEY = "member-"


@use_case
def add_member(
    *,
    org: Organization,
    email: str,
    first_name: str,
    last_name: str,
    role: Role,
    password_link: Callable[[User], str],
    actor: Actor,
    at: datetime,
) -> Membership:
    """Make the person behind an email address a member, and tell them by email.

    The account is found by the address, or made with it as user name and without a password. Caller and answer are
    the same in both cases, so that nobody learns who has an account elsewhere; the names given here are used for a
    new account only. Raises PermissionRefused, InvalidInput for somebody who is a member already, Conflict when
    several accounts share the address.
    """
    authorize(actor, "manage_members")
    address = email.strip().lower()
    user = _account_of(address, first_name=first_name.strip(), last_name=last_name.strip())
    # A member who left is not let in again by the way; that has a button of its own.
    membership, is_new = Membership.objects.for_org(org).get_or_create(user=user, defaults={"org": org, "role": role})
    if not is_new:
        sentence = "This person is a member already. Open their entry to change the role or to let them in again."
        raise InvalidInput(sentence, fields={"email": [sentence]})
    _write_to(membership, org=org, password_link=password_link, at=at)
    return membership


@use_case
def invite_member_again(
    *, org: Organization, membership_id: int, password_link: Callable[[User], str], actor: Actor, at: datetime
) -> Membership:
    """Send another email with a link to choose a password. Raises PermissionRefused, NotFound, Conflict."""
    authorize(actor, "manage_members")
    membership: Membership = Membership.objects.for_org(org).locked().fetch(membership_id)
    if not membership.is_active or membership.user.has_usable_password():
        raise Conflict("Only an active member who has never chosen a password can be invited again.")
    _write_to(membership, org=org, password_link=password_link, at=at)
    return membership


@use_case
def change_member_role(*, org: Organization, membership_id: int, role: Role, actor: Actor, at: datetime) -> Membership:
    """Give a member another role. Raises PermissionRefused, NotFound, Conflict for the last administrator."""
    authorize(actor, "manage_members")
    membership = _locked(org, membership_id)
    if role is not Role.ADMIN:
        _keep_an_administrator(org, besides=membership)
    if membership.role != role:
        membership.role = role
        membership.save(update_fields=["role"])
    return membership


@use_case
def deactivate_member(*, org: Organization, membership_id: int, actor: Actor, at: datetime) -> Membership:
    """End a member's access at once; their history stays. Raises PermissionRefused, NotFound, Conflict (last one)."""
    authorize(actor, "manage_members")
    membership = _locked(org, membership_id)
    _keep_an_administrator(org, besides=membership)
    if membership.is_active:
        membership.is_active = False
        membership.save(update_fields=["is_active"])
    return membership


@use_case
def reactivate_member(*, org: Organization, membership_id: int, actor: Actor, at: datetime) -> Membership:
    """Let a former member in again, with the role they had. Raises PermissionRefused, NotFound."""
    authorize(actor, "manage_members")
    membership = _locked(org, membership_id)
    if not membership.is_active:
        membership.is_active = True
        membership.save(update_fields=["is_active"])
    return membership


def _locked(org: Organization, membership_id: int) -> Membership:
    """The member, behind the locks of all administrators, so that two of them cannot remove each other at once."""
    rows = Membership.objects.for_org(org)
    list(rows.locked().filter(role=Role.ADMIN, is_active=True).order_by("pk").values_list("pk"))
    membership: Membership = rows.locked().fetch(membership_id)
    return membership


def _keep_an_administrator(org: Organization, *, besides: Membership) -> None:
    others = Membership.objects.for_org(org).filter(role=Role.ADMIN, is_active=True).exclude(pk=besides.pk)
    if besides.role == Role.ADMIN and besides.is_active and not others.filter(user__is_active=True).exists():
        raise Conflict("This is the last administrator. Make somebody else an administrator first.")


def _account_of(address: str, *, first_name: str, last_name: str) -> User:
    found = list(User.objects.filter(Q(email__iexact=address) | Q(username__iexact=address)).order_by("pk")[:2])
    if len(found) > 1:
        raise Conflict("This address cannot be added here. Ask the operator of this installation.")
    if found:
        return found[0]
    new = User(username=address, email=address, first_name=first_name, last_name=last_name, is_staff=True)
    new.set_unusable_password()
    User.objects.bulk_create([new], ignore_conflicts=True)
    return User.objects.get(username=address)


def _write_to(membership: Membership, *, org: Organization, password_link: Callable[[User], str], at: datetime) -> None:
    user = membership.user
    if not user.email:
        return
    if user.has_usable_password():
        how = "Log in with the password you have."
    else:
        how = f"Choose a password within three days: {password_link(user)}"
    queue_email(
        org=org,
        key=f"{INVITATION_KEY}{membership.pk}-{at:%Y%m%d%H%M%S}",
        to=[user.email],
        subject=f"You are a member of {org.name} in FlowLedger",
        body=f"Hello,\n\nyou were made a member of {org.name} in FlowLedger.\n{how}\n",
    )
