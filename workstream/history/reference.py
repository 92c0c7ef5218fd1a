"""Finds or makes what opportunities refer to: clients, solutions and members, by name."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from flowledger.clients.models import Client, SizeBand
from flowledger.clients.services import create_client
from flowledger.errors import FlowLedgerError
from flowledger.tenancy.actors import Actor, Role
from flowledger.tenancy.models import Membership, Organization, User
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case
from workstream.history.reading import Account, Export, Opportunity, Product, TeamMember
from workstream.history.report import BadRow, HistoryReport
from workstream.models import Solution
from workstream.services import save_solution

T = TypeVar("T")


class Book(Generic[T]):
    """Things by name; letters and digits decide when the exact name is not there and they name one thing only."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._exact: dict[str, T] = {}
        self._folded: dict[str, set[str]] = {}

    def add(self, name: str, thing: T) -> None:
        """Enter a thing; the first of a name stays."""
        key = name.casefold()
        if key not in self._exact:
            self._exact[key] = thing
            self._folded.setdefault(_letters(name), set()).add(key)

    def find(self, name: str) -> T | None:
        """The thing of a name in any case or punctuation."""
        key = name.casefold()
        if key not in self._exact:
            similar = self._folded.get(_letters(name), set())
            if len(similar) != 1 or not _letters(name):
                return None
            (key,) = similar
        return self._exact[key]


@dataclass
class Reference:
    """What opportunities refer to, and what the export's files say about each, by name."""

    org: Organization
    clients: Book[Client] = field(default_factory=lambda: Book("client"))
    solutions: Book[Solution] = field(default_factory=lambda: Book("solution"))
    members: Book[User] = field(default_factory=lambda: Book("member"))
    product_facts: dict[int, dict[str, str]] = field(default_factory=dict)
    member_facts: dict[int, dict[str, str]] = field(default_factory=dict)
    # Members that the team file names and no opportunity did, yet.
    idle_members: set[int] = field(default_factory=set)

    def client_of(self, opportunity: Opportunity) -> Client | None:
        return self.clients.find(opportunity.account) if opportunity.account else None

    def solution_of(self, opportunity: Opportunity) -> Solution | None:
        return self.solutions.find(opportunity.product) if opportunity.product else None

    def owner_of(self, opportunity: Opportunity) -> User | None:
        return self.members.find(opportunity.agent) if opportunity.agent else None


def load_reference(*, export: Export, org: Organization, actor: Actor, at: datetime) -> Reference:
    """Bring clients, solutions and members of the export into the organisation; what is there by name stays."""
    reference = _known_reference(org=org)
    for account in export.accounts():
        try:
            _ensure_client(reference, account, export.report, actor=actor, at=at)
        except FlowLedgerError as refusal:
            assert export.mapping.accounts is not None
            export.report.skip(BadRow(export.mapping.accounts.file, account.line, refusal.message))
    for product in export.products():
        _ensure_solution(reference, product, export.report, actor=actor, at=at)
    team = list(export.team())
    managers = {member.manager.casefold() for member in team if member.manager}
    names = {member.name.casefold() for member in team}
    for member in team:
        role = Role.MANAGER if member.name.casefold() in managers else Role.REP
        user = _ensure_member(reference, member, export.report, role=role, actor=actor, at=at)
        reference.member_facts[user.pk] = {**member.facts, **({"manager": member.manager} if member.manager else {})}
        reference.idle_members.add(user.pk)
    for member in team:
        if member.manager and member.manager.casefold() not in names:
            names.add(member.manager.casefold())
            manager = TeamMember(line=member.line, name=member.manager)
            _ensure_member(reference, manager, export.report, role=Role.MANAGER, actor=actor, at=at)
    return reference


def complete_reference(
    reference: Reference,
    opportunities: list[Opportunity],
    report: HistoryReport,
    *,
    file: str,
    actor: Actor,
    at: datetime,
) -> None:
    """Make what opportunities name and no file lists, from the name alone, and say so."""
    for opportunity in opportunities:
        if opportunity.account and reference.client_of(opportunity) is None:
            report.resolve(f"{file}: account '{opportunity.account}' is in no accounts file; made from its name")
            _ensure_client(reference, Account(opportunity.line, opportunity.account), report, actor=actor, at=at)
        if opportunity.product and reference.solution_of(opportunity) is None:
            report.resolve(f"{file}: product '{opportunity.product}' is in no products file; made from its name")
            _ensure_solution(reference, Product(opportunity.line, opportunity.product), report, actor=actor, at=at)
        if opportunity.agent and reference.owner_of(opportunity) is None:
            report.resolve(f"{file}: salesperson '{opportunity.agent}' is in no team file; made a representative")
            agent = TeamMember(opportunity.line, opportunity.agent)
            _ensure_member(reference, agent, report, role=Role.REP, actor=actor, at=at)


@use_case
def _known_reference(*, org: Organization) -> Reference:
    """What the organisation has already."""
    reference = Reference(org)
    for client in Client.objects.for_org(org).current().order_by("pk").iterator():
        reference.clients.add(client.name, client)
    for solution in Solution.objects.for_org(org).order_by("pk"):
        reference.solutions.add(solution.name, solution)
    for membership in Membership.objects.for_org(org).select_related("user").order_by("pk"):
        reference.members.add(membership.user.get_full_name(), membership.user)
    return reference


def _ensure_client(
    reference: Reference, account: Account, report: HistoryReport, *, actor: Actor, at: datetime
) -> None:
    if reference.clients.find(account.name) is not None:
        report.count("clients_known")
        return
    fields: dict[str, Any] = {
        "name": account.name,
        "domain": account.domain,
        "industry": account.industry,
        "size_band": "" if account.employees is None else SizeBand.of(account.employees).value,
        "annual_revenue": account.annual_revenue,
        "country": account.country,
        "attributes": account.facts | ({} if account.employees is None else {"employees": account.employees}),
    }
    client = create_client(org=reference.org, fields=fields, actor=actor, at=at)
    reference.clients.add(account.name, client)
    report.count("clients")


def _ensure_solution(
    reference: Reference, product: Product, report: HistoryReport, *, actor: Actor, at: datetime
) -> None:
    solution = reference.solutions.find(product.name)
    if solution is None:
        fields = {"name": product.name, "list_price": product.list_price}
        solution = save_solution(org=reference.org, solution_id=None, fields=fields, actor=actor, at=at)
        reference.solutions.add(product.name, solution)
        report.count("solutions")
    else:
        report.count("solutions_known")
    reference.product_facts[solution.pk] = product.facts


def _ensure_member(
    reference: Reference, member: TeamMember, report: HistoryReport, *, role: Role, actor: Actor, at: datetime
) -> User:
    user = reference.members.find(member.name)
    if user is None:
        user = _add_member(org=reference.org, name=member.name, email=member.email, role=role, actor=actor, at=at)
        reference.members.add(member.name, user)
        report.count("members")
    else:
        report.count("members_known")
    return user


@use_case
def _add_member(*, org: Organization, name: str, email: str, role: Role, actor: Actor, at: datetime) -> User:
    """A user of this organisation alone, who cannot log in until an administrator gives a password."""
    authorize(actor, "manage_members")
    first, _, last = name.rpartition(" ")
    user = User(
        username=_free_username(name, org),
        first_name=(first or last)[:150],
        last_name=(last if first else "")[:150],
        email=email,
    )
    user.set_unusable_password()
    user.save()
    Membership(org=org, user=user, role=role).save()
    return user


def _free_username(name: str, org: Organization) -> str:
    """`anna.snelling@org-7`: readable, and never the same in two organisations."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    words = "".join(character if character.isalnum() else " " for character in plain).split()
    base = ".".join(words)[:100] or "member"
    taken = set(User.objects.filter(username__startswith=base).values_list("username", flat=True))
    candidates = (f"{base}{suffix}@org-{org.pk}" for suffix in ("", *(f"-{n}" for n in range(2, len(taken) + 3))))
    return next(username for username in candidates if username not in taken)


def _letters(name: str) -> str:
    """A name for comparison: letters and digits only, case aside."""
    return "".join(character for character in name.casefold() if character.isalnum())


def merged_facts(reference: Reference, opportunity: Opportunity) -> Mapping[str, str]:
    """What the export says about the product and the salesperson of an opportunity, and about itself."""
    solution, owner = reference.solution_of(opportunity), reference.owner_of(opportunity)
    return {
        **(reference.product_facts.get(solution.pk, {}) if solution else {}),
        **(reference.member_facts.get(owner.pk, {}) if owner else {}),
        **opportunity.facts,
    }
