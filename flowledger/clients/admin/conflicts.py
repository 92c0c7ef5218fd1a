"""The review queue: pairs that may be the same, or whose keys contradict, side by side and decided by a person."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponseNotAllowed, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.timezone import now
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import display

from flowledger.backoffice.navigation import Group, Menu
from flowledger.backoffice.org_admin import ReadOnlyOrgAdmin
from flowledger.backoffice.refusals import explain
from flowledger.backoffice.requests import actor_of, org_of
from flowledger.clients import services
from flowledger.clients.admin.comparison import chosen, comparison, context_of
from flowledger.clients.admin.evidence import evidence_of, page_of, percent
from flowledger.clients.models import ConflictKind, ConflictStatus, IdentityConflict
from flowledger.clients.services.conflicts import sides_of
from flowledger.errors import FlowLedgerError
from flowledger.tenancy.permissions import may

KIND_COLOURS = {ConflictKind.CONFLICT.value: "danger", ConflictKind.SUGGESTION.value: "info"}
STATUS_COLOURS = {
    ConflictStatus.OPEN.value: "warning",
    ConflictStatus.MERGED.value: "success",
    ConflictStatus.KEPT_APART.value: "",
}
SIDES = ("contact", "other_contact", "client", "other_client")
# The number in the menu goes no further: beyond it nobody counts.
MOST_COUNTED = 999


def open_pairs(request: HttpRequest) -> int:
    """How many wait to be decided; the number in the menu."""
    rows = IdentityConflict.objects.for_org(org_of(request)).open()
    return int(rows.order_by()[:MOST_COUNTED].count())


class DecisionFilter(DropdownFilter):
    """The queue is what is to be decided, unless somebody asks for the rest."""

    title = "decision"
    parameter_name = "status"
    all_option = ["", "To be decided"]

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        decided = [choice for choice in ConflictStatus.choices if choice[0] != ConflictStatus.OPEN]
        return [*decided, ("all", "All")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        wanted = self.value() or ConflictStatus.OPEN.value
        return queryset if wanted == "all" else queryset.filter(status=wanted)


class AboutFilter(DropdownFilter):
    """Pairs of contacts, or of clients."""

    title = "about"
    parameter_name = "about"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("contact", "Contacts"), ("client", "Clients")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in {"contact", "client"}:
            return queryset
        return queryset.filter(**{f"{self.value()}__isnull": False})


@admin.register(IdentityConflict)
class IdentityConflictAdmin(ReadOnlyOrgAdmin):
    """What resolution left to people."""

    menu = Menu(Group.CLIENTS, icon="compare_arrows", order=5, title="Identity review", count=open_pairs)
    list_display = ("pair", "about", "kind_badge", "likeness", "why", "seen", "last_seen", "status_badge")
    list_filter = (DecisionFilter, "kind", AboutFilter)
    list_select_related = (*SIDES, *(f"{side}__canonical" for side in SIDES))
    ordering = ("-last_seen", "-pk")

    @display(description="Pair")
    def pair(self, obj: IdentityConflict) -> str:
        one, other = (_standing(row) for row in _rows(obj))
        return f"{one} and {other}"

    @display(description="About")
    def about(self, obj: IdentityConflict) -> str:
        return "Contacts" if obj.contact_id else "Clients"

    @display(description="Kind", ordering="kind", label=KIND_COLOURS)
    def kind_badge(self, obj: IdentityConflict) -> tuple[str, str]:
        return obj.kind, ConflictKind(obj.kind).label

    @display(description="Likeness", ordering="score")
    def likeness(self, obj: IdentityConflict) -> str:
        return _likeness(obj)

    @display(description="Seen", ordering="occurrences")
    def seen(self, obj: IdentityConflict) -> str:
        return "once" if obj.occurrences == 1 else f"{obj.occurrences:,} times"

    @display(description="Why")
    def why(self, obj: IdentityConflict) -> str:
        """The first words of the evidence, without a query of its own."""
        for rule in obj.explanation.get("rules") or ():
            for said in [rule.get("sentence"), *(term.get("sentence") for term in rule.get("terms") or ())]:
                if said:
                    return str(said)
            if rule.get("key_value"):
                return f"{str(rule.get('key_type', '')).replace('_', ' ').capitalize()} {rule['key_value']}"
        return "–"

    @display(description="Status", ordering="status", label=STATUS_COLOURS)
    def status_badge(self, obj: IdentityConflict) -> tuple[str, str]:
        return obj.status, ConflictStatus(obj.status).label

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.resolve_view)
        resolve = path("<path:object_id>/resolve/", view, name="clients_identityconflict_resolve")
        return [resolve, *super().get_urls()]

    def locks(self, request: HttpRequest) -> bool:
        """The service locks in its own order."""
        return False

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        """The two side by side. `?survivor=` says which stays; the one that is known longer unless it does."""
        if request.method not in {"GET", "HEAD"}:
            raise PermissionDenied
        try:
            pair = self._pair(request, object_id)
        except Http404:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        sides = sides_of(org=org_of(request), conflicts=[pair])[pair.pk]
        survivor, loser = sides.first, sides.second
        if request.GET.get("survivor") == str(sides.second.pk):
            survivor, loser = loser, survivor
        context = context_of(
            request,
            f"Are these the same {sides.kind}?",
            opts=self.opts,
            pair=pair,
            evidence=evidence_of(org_of(request), pair.explanation.get("rules") or ()),
            likeness=_likeness(pair),
            is_open=pair.status == ConflictStatus.OPEN and not sides.are_one,
            are_one=sides.are_one,
            may_keep_apart=may(actor_of(request), "keep_apart"),
            swap_link=f"?survivor={loser.pk}",
            post_link=reverse("admin:clients_identityconflict_resolve", args=[pair.pk]),
            back=reverse("admin:clients_identityconflict_changelist"),
            **comparison(request, survivor, loser),
        )
        return TemplateResponse(request, "clients/conflict.html", context)

    def resolve_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Merge the two as the form says, or keep them apart for good; then on with the queue."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        pair = self._pair(request, object_id)
        org = org_of(request)
        survivor = request.POST.get("survivor_id", "")
        resolution = request.POST.get("resolution", "")
        try:
            resolved = services.resolve_conflict(
                org=org,
                conflict_id=pair.pk,
                resolution=resolution,
                survivor_id=int(survivor) if survivor.isascii() and survivor.isdigit() and len(survivor) < 19 else None,
                choices=chosen(request.POST) if resolution == "merge" else {},
                note=request.POST.get("reason", ""),
                actor=actor_of(request),
                at=now(),
            )
        except FlowLedgerError as error:
            messages.error(request, explain(error))
            return HttpResponseRedirect(page_of(pair))
        if resolved.merge is not None:
            messages.success(request, merged_message(resolved.merge))
        else:
            messages.success(request, "They stay apart; nobody is asked about these two again.")
        return HttpResponseRedirect(reverse("admin:clients_identityconflict_changelist"))

    def _pair(self, request: HttpRequest, object_id: str) -> IdentityConflict:
        found = self.get_object(request, unquote(object_id)) if self.has_view_permission(request) else None
        if found is None:
            raise Http404(f"There is no pair {object_id} in this organisation.")
        pair: IdentityConflict = found
        return pair


def merged_message(record: Any) -> str:
    """What was done, with the way to undo it."""
    return format_html(
        'The two are one {} now. <a class="font-medium text-link" href="{}">See what moved, or undo it</a>.',
        record.get_entity_type_display().lower(),
        page_of(record),
    )


def _rows(obj: IdentityConflict) -> tuple[Any, Any]:
    return (obj.contact, obj.other_contact) if obj.contact_id else (obj.client, obj.other_client)


def _likeness(pair: IdentityConflict) -> str:
    """How alike two are; keys that contradict say nothing about that."""
    return percent(pair.score) if pair.kind == ConflictKind.SUGGESTION else ""


def _standing(row: Any) -> Any:
    """A tombstone stands for its survivor."""
    return row.canonical or row
