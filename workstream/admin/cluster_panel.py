"""The panels of a signal's page: how its sender was recognised, and the other signals of the same buying event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from flowledger.backoffice.requests import actor_of, org_of
from flowledger.clients.admin.evidence import Explanation, explanation_of, percent
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import may
from workstream.admin.columns import SIGNAL_COLOURS
from workstream.admin.items import link_to
from workstream.clustering import gist
from workstream.models import Candidate, CandidateSignal, Signal, SignalCluster
from workstream.services.cluster_links import Linked, LinkStatus, Member, company_of, unlinked_rest

SHOWN = 20
OFFERS = 3


@dataclass(frozen=True)
class Line:
    """One other signal."""

    signal: Signal
    link: str
    who: str
    likeness: str
    state: str
    look: str
    candidates: str


@dataclass(frozen=True)
class Offer:
    """A candidate that this signal feeds and others of its cluster do not yet."""

    candidate: Candidate
    number: int


@dataclass(frozen=True)
class ClusterPanel:
    """The cluster of a signal on its page."""

    cluster: SignalCluster
    others: int
    lines: Sequence[Line]
    offers: Sequence[Offer]
    link: str
    all_link: str


def identity_panel(signal: Signal) -> Explanation:
    """How the sender of a signal was recognised."""
    return explanation_of(signal.org, signal.identity_resolution)


def cluster_panel(request: HttpRequest, signal: Signal) -> ClusterPanel | None:
    """The other signals of the same buying event, and what linking the rest would do; None where there are none."""
    org = org_of(request)
    company = company_of(org=org, signal=signal)
    if company.cluster is None or not company.others:
        return None
    shown = company.members[:SHOWN]
    candidates = Candidate.objects.for_org(org).in_bulk({pk for each in shown for pk in each.candidate_ids})
    return ClusterPanel(
        cluster=company.cluster,
        others=company.others,
        lines=[_line(member, candidates) for member in shown],
        offers=_offers(request, org, signal),
        link=reverse("admin:workstream_signal_transition", args=[signal.pk, "link-cluster"]),
        all_link=f"{reverse('admin:workstream_signal_changelist')}?cluster__id__exact={company.cluster.pk}",
    )


def tell(request: HttpRequest, results: Sequence[Linked]) -> None:
    """How many signals were linked, and why others were not."""
    counts = {status: sum(each.status is status for each in results) for status in LinkStatus}
    linked, known = counts[LinkStatus.LINKED], counts[LinkStatus.ALREADY_LINKED]
    if linked:
        messages.success(request, f"{_signals(linked)} linked.")
    elif not counts[LinkStatus.REFUSED]:
        messages.info(request, f"There was nothing left to link: {_signals(known)} linked already.")
    refused = [each for each in results if each.error is not None]
    if refused:
        reasons = sorted({each.error.message for each in refused if each.error is not None})
        lines = format_html_join("", "<li>{}</li>", ((reason,) for reason in reasons))
        text = '{} not linked.<ul class="list-disc ml-5 mt-1">{}</ul>'
        messages.error(request, format_html(text, _signals(len(refused)), lines))


def offer_of(org: Organization, signal: Signal, candidate_id: int) -> str:
    """What a message says after one signal was linked; "" where no other could follow."""
    number = len(unlinked_rest(org=org, signal=signal, candidate_id=candidate_id))
    if not number:
        return ""
    others = "1 other signal says" if number == 1 else f"{number} other signals say"
    return f"The signal is linked. {others} nearly the same; link the rest below."


def _offers(request: HttpRequest, org: Organization, signal: Signal) -> list[Offer]:
    links = CandidateSignal.objects.for_org(org).filter(signal=signal).select_related("candidate").order_by("pk")
    found = []
    for link in links[:OFFERS]:
        number = len(unlinked_rest(org=org, signal=signal, candidate_id=link.candidate_id))
        if number and may(actor_of(request), "link_signal", link.candidate):
            found.append(Offer(link.candidate, number))
    return found


def _line(member: Member, candidates: dict[int, Any]) -> Line:
    signal = member.signal
    who = signal.contact_name or signal.contact_email or signal.company_name or signal.contact_phone
    return Line(
        signal=signal,
        link=link_to(signal, gist(signal.problem_phrase or signal.snippet) or str(signal)),
        who=who,
        likeness="same conversation" if member.same_thread else f"{percent(member.similarity)} alike",
        state=str(signal.get_disposition_display()),
        look=SIGNAL_COLOURS.get(signal.disposition, ""),
        candidates=_linked([candidates[pk] for pk in member.candidate_ids if pk in candidates]),
    )


def _linked(candidates: Sequence[Any]) -> SafeString:
    return format_html_join(", ", "{}", ((link_to(each),) for each in candidates))


def _signals(number: int) -> str:
    return "1 signal was" if number == 1 else f"{number:,} signals were"
