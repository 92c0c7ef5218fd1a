"""The review queue: signals that a score alone does not settle, with the reasons, accepted or dismissed by a person."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.timezone import now
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter, RelatedDropdownFilter
from unfold.decorators import display
from unfold.paginator import InfinitePaginator

from flowledger.backoffice.forms import TransitionForm
from flowledger.backoffice.navigation import Group, Menu
from flowledger.backoffice.refusals import explain
from flowledger.backoffice.requests import actor_of, org_of
from flowledger.backoffice.transition_admin import TransitionAdmin, TransitionButton
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from spotlight.admin.wording import LOOKS
from spotlight.machines import ReviewStatus
from spotlight.models import RoutedSignal
from spotlight.services import reviews
from spotlight.services.reasons import sentences_of
from spotlight.services.reviews import Decided
from workstream.admin.columns import ago, badge
from workstream.admin.items import link_to

STATUS_LOOKS = {
    ReviewStatus.WAITING.value: "warning",
    ReviewStatus.ACCEPTED.value: "success",
    ReviewStatus.DISMISSED.value: "",
    ReviewStatus.SETTLED.value: "",
}
# The number in the menu goes no further: beyond it nobody counts.
MOST_COUNTED = 999
SENTENCES_SHOWN = 4


def waiting(request: HttpRequest) -> int:
    """How many wait to be decided; the number in the menu."""
    return reviews.count_waiting(org_of(request), at_most=MOST_COUNTED)


class DismissForm(TransitionForm):
    note = forms.CharField(max_length=500, required=False, widget=forms.Textarea(attrs={"rows": 3}))


class QueueFilter(DropdownFilter):
    """The queue is what waits, unless somebody asks for the rest."""

    title = "decision"
    parameter_name = "status"
    all_option = ["", "To be decided"]

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        decided = [choice for choice in ReviewStatus.choices if choice[0] != ReviewStatus.WAITING]
        return [*decided, ("all", "All")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        wanted = self.value() or ReviewStatus.WAITING.value
        return queryset if wanted == "all" else queryset.filter(review_status=wanted)


@admin.action(description="Accept the selected signals")
def accept_selected(page: ReviewAdmin, request: HttpRequest, rows: QuerySet[RoutedSignal]) -> None:
    """Make candidates of the selected ones, each for itself."""
    keys = _keys(rows)
    found = reviews.accept_reviews(org=org_of(request), signal_ids=keys, actor=actor_of(request), at=now())
    _tell(page, request, found, "{} accepted; they feed candidates now.")


@admin.action(description="Dismiss the selected signals")
def dismiss_selected(page: ReviewAdmin, request: HttpRequest, rows: QuerySet[RoutedSignal]) -> None:
    """Take the selected ones out of the queue."""
    keys = _keys(rows)
    found = reviews.dismiss_reviews(org=org_of(request), signal_ids=keys, actor=actor_of(request), at=now())
    _tell(page, request, found, "{} dismissed; they stay signals.")


def accept(*, org: Organization, review_id: int, actor: Actor, at: datetime) -> RoutedSignal:
    """Accept by the key of the page."""
    return reviews.accept_review(org=org, signal_id=_signal_of(org, review_id), actor=actor, at=at)


def dismiss(*, org: Organization, review_id: int, note: str, actor: Actor, at: datetime) -> RoutedSignal:
    """Dismiss by the key of the page."""
    return reviews.dismiss_review(org=org, signal_id=_signal_of(org, review_id), note=note, actor=actor, at=at)


@admin.register(RoutedSignal)
class ReviewAdmin(TransitionAdmin):
    """What routing did with each signal; the list begins with what waits, best first."""

    menu = Menu(Group.PIPELINE, icon="rule", order=15, title="Signal review", count=waiting)
    add_role = change_role = delete_role = None
    paginator = InfinitePaginator
    list_display = ("who", "band", "match_score", "why", "spotlight", "waits", "status_badge")
    list_display_links = ("band",)
    list_select_related = ("signal", "spotlight")
    list_filter = (
        QueueFilter,
        ("recommendation", ChoicesDropdownFilter),
        ("action", ChoicesDropdownFilter),
        ("spotlight", RelatedDropdownFilter),
    )
    ordering = ("-match_score", "pk")
    actions = (accept_selected, dismiss_selected)
    fields = (
        *("signal_link", "band", "match_score", "why", "profile", "action", "routed_at"),
        *("candidate_link", "decided_at", "decided_by", "decision_note"),
    )
    readonly_fields = ("signal_link", "band", "why", "profile", "candidate_link")
    transitions = (
        TransitionButton(
            "accept",
            service=accept,
            label="Accept",
            verb="review_signal",
            argument="review_id",
            icon="check",
            variant="primary",
            success="It feeds a candidate now.",
        ),
        TransitionButton(
            "dismiss",
            service=dismiss,
            label="Dismiss",
            verb="review_signal",
            argument="review_id",
            form=DismissForm,
            icon="close",
            explanation="It stays a signal, and is asked about again only if its band rises.",
            success="It was dismissed.",
        ),
    )

    status_badge = badge("review_status", STATUS_LOOKS, description="State")
    band = badge("recommendation", LOOKS, description="Recommendation")
    waits = ago("routed_at", description="Routed")

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """The reasons of all rows of the page are found together."""
        changelist = super().get_changelist_instance(request)
        _add_sentences(org_of(request), changelist.result_list)
        return changelist

    @display(description="Signal")
    def who(self, obj: RoutedSignal) -> str:
        signal = obj.signal
        name = signal.company_name or signal.contact_name or signal.contact_email or f"Signal {signal.pk}"
        said = signal.problem_phrase or signal.snippet
        return format_html(
            '{}<span class="block font-normal text-subtle text-xs">{}</span>', link_to(signal, name), said[:120]
        )

    @display(description="Why")
    def why(self, obj: RoutedSignal) -> str:
        sentences = getattr(obj, "sentences", None)
        if sentences is None:
            sentences = sentences_of(org=obj.org, reviews=[obj]).get(obj.pk, [])
        lines = format_html_join("", "<li>{}</li>", ((sentence,) for sentence in sentences[:SENTENCES_SHOWN]))
        return format_html('<ul class="font-normal text-xs whitespace-normal">{}</ul>', lines) if lines else obj.reason

    @display(description="Signal")
    def signal_link(self, obj: RoutedSignal) -> str:
        return link_to(obj.signal)

    @display(description="Profile")
    def profile(self, obj: RoutedSignal) -> str:
        return link_to(obj.spotlight)

    @display(description="Candidate")
    def candidate_link(self, obj: RoutedSignal) -> str:
        return link_to(obj.candidate)


def _add_sentences(org: Organization, rows: Any) -> None:
    found = sentences_of(org=org, reviews=list(rows))
    for row in rows:
        row.sentences = found.get(row.pk, [])


def _signal_of(org: Organization, review_id: int) -> int:
    review: RoutedSignal = RoutedSignal.objects.for_org(org).fetch(review_id)
    return review.signal_id


def _keys(rows: QuerySet[RoutedSignal]) -> list[int]:
    return list(rows.order_by("signal_id").values_list("signal_id", flat=True)[: reviews.MOST_DECIDED])


def _tell(page: ReviewAdmin, request: HttpRequest, results: Sequence[Decided], done: str) -> None:
    """How many were decided, and one line for each kind of refusal."""
    number = sum(each.error is None for each in results)
    if number:
        page.message_user(request, done.format(f"{number:,}"), messages.SUCCESS)
    for said in sorted({explain(each.error) for each in results if each.error is not None})[:10]:
        page.message_user(request, f"Not decided: {said}", messages.WARNING)
