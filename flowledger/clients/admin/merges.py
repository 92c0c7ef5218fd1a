"""Merges: what was taken from which side, what moved, undoing one with its report, and merging from a row's page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.apps import apps
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.timezone import now
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import display

from flowledger.backoffice.forms import RowSelect
from flowledger.backoffice.navigation import Group, Menu
from flowledger.backoffice.refusals import explain
from flowledger.backoffice.requests import actor_of, org_of
from flowledger.backoffice.transition_admin import TransitionAdmin, TransitionButton
from flowledger.clients import services
from flowledger.clients.admin.comparison import comparison, context_of, in_words, merge, names_of_clients
from flowledger.clients.admin.conflicts import merged_message
from flowledger.clients.admin.evidence import link_to, page_of
from flowledger.clients.models import Client, Contact, MergedKind, MergeRecord
from flowledger.clients.services.survivors import survivor_of
from flowledger.errors import FlowLedgerError
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import may

MODELS: Mapping[str, Any] = {MergedKind.CONTACT.value: Contact, MergedKind.CLIENT.value: Client}
KEPT_SHOWN = 200


@dataclass(frozen=True)
class State:
    """One field before the merge on both sides and after it."""

    label: str
    survivor: str
    loser: str
    result: str
    is_taken: bool


@dataclass(frozen=True)
class Count:
    """How many rows of a kind."""

    name: str
    number: int


@dataclass(frozen=True)
class Kept:
    """One change that an undo left."""

    what: str
    reason: str
    value: str
    before: str


class StandingFilter(DropdownFilter):
    """Merges that stand, or that were undone."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("standing", "Stands"), ("undone", "Undone")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in {"standing", "undone"}:
            return queryset
        return queryset.filter(undone_at__isnull=self.value() == "standing")


@admin.register(MergeRecord)
class MergeRecordAdmin(TransitionAdmin):
    """Every merge, undone here."""

    menu = Menu(Group.CLIENTS, icon="merge", order=50, title="Merges")
    change_form_template = "clients/merge_record.html"
    add_role = change_role = delete_role = None
    list_display = ("what", "about", "by", "merged_at", "number_moved", "state")
    list_filter = ("entity_type", StandingFilter)
    ordering = ("-merged_at", "-pk")
    fields = ("about", "merged_at", "by", "reason", "undone_at", "undone_by")
    readonly_fields = fields
    transitions = (
        TransitionButton(
            "undo",
            service=services.undo_merge,
            label="Undo the merge",
            verb="merge",
            argument="merge_id",
            shown=lambda record: record.undone_at is None,
            icon="undo",
            variant="danger",
        ),
    )

    @display(description="Merge")
    def what(self, obj: MergeRecord) -> str:
        return f"{_name(obj.loser_before)} into {_name(obj.survivor_before)}"

    @display(description="About", ordering="entity_type")
    def about(self, obj: MergeRecord) -> str:
        return f"{obj.get_entity_type_display()}s"

    @display(description="By", ordering="merged_by_label")
    def by(self, obj: MergeRecord) -> str:
        return obj.merged_by_label or "–"

    @display(description="Moved")
    def number_moved(self, obj: MergeRecord) -> str:
        return f"{sum(obj.moved.values()):,}"

    @display(description="State", label={"Stands": "success", "Undone": ""})
    def state(self, obj: MergeRecord) -> str:
        return "Stands" if obj.undone_at is None else "Undone"

    def transition_done(
        self, request: HttpRequest, button: TransitionButton, obj: Any, result: Any
    ) -> HttpResponseBase:
        back = sum(result.returned.values())
        sentence = f"The merge is undone: {back:,} {'row' if back == 1 else 'rows'} went back."
        if result.kept_count:
            left = "1 change made since stays" if result.kept_count == 1 else f"{result.kept_count:,} changes stay"
            self.message_user(request, f"{sentence} {left}; see the list below.", messages.WARNING)
        else:
            self.message_user(request, f"{sentence} Everything is as it was.", messages.SUCCESS)
        return HttpResponseRedirect(page_of(obj))

    def panels(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        return _sides(org_of(request), obj) | _report(obj) | {"title": "Merge"}


def _name(state: Mapping[str, Any]) -> str:
    return str(state.get("name") or state.get("email") or state.get("phone") or state.get("id") or "–")


def _sides(org: Organization, record: MergeRecord) -> dict[str, Any]:
    """Both as they were, what came of it, and where they are now."""
    model = MODELS[record.entity_type]
    rows = model.objects.for_org(org).in_bulk([record.survivor_id, record.loser_id])
    survivor, loser, after = record.survivor_before, record.loser_before, record.survivor_after
    keys = {state.get("client_id") for state in (survivor, loser, after)} - {None}
    clients = names_of_clients(org, keys) if model is Contact else {}
    return {
        "survivor": link_to(rows.get(record.survivor_id), _name(survivor)),
        # While it is merged its page leads to the survivor.
        "loser": _name(loser) if record.undone_at is None else link_to(rows.get(record.loser_id), _name(loser)),
        "states": [
            State(
                label=str(column.verbose_name),
                survivor=_said(name, survivor.get(column.attname), clients),
                loser=_said(name, loser.get(column.attname), clients),
                result=_said(name, after.get(column.attname), clients),
                is_taken=survivor.get(column.attname) != after.get(column.attname),
            )
            for name in services.MERGE_FIELDS[model]
            for column in [model._meta.get_field(name)]
        ],
        "moved": _counts(record.moved),
        "left": _counts(record.left),
    }


def _report(record: MergeRecord) -> dict[str, Any]:
    """What an undo gave back and what it left."""
    if record.undone_at is None:
        return {"report": None}
    kept = record.undo_report.get("kept") or []
    return {
        "report": {
            "returned": _counts(record.undo_report.get("returned") or {}),
            "kept_count": record.undo_report.get("kept_count", len(kept)),
            "kept": [_kept(each) for each in kept[:KEPT_SHOWN]],
            "shown": min(len(kept), KEPT_SHOWN),
        }
    }


def _kept(change: Mapping[str, Any]) -> Kept:
    singular, *_ = _named(str(change.get("model", "")))
    field = str(change.get("field", "")).removesuffix("_id").replace("_", " ")
    return Kept(
        what=", ".join(filter(None, (f"{singular.capitalize()} {change.get('id', '')}", field))),
        reason=str(change.get("reason", "")),
        value=in_words(change.get("value")),
        before=in_words(change.get("before")),
    )


def _counts(counts: Mapping[str, int]) -> Sequence[Count]:
    """`workstream.signal.contact` as `signals`; two references of one model are told apart by their field."""
    named = [(*_named(label), number) for label, number in sorted(counts.items())]
    plurals = [plural for _, plural, _, _ in named]
    return [
        Count(f"{plural} ({field})" if plurals.count(plural) > 1 and field else plural, number)
        for _, plural, field, number in named
    ]


def _named(label: str) -> tuple[str, str, str]:
    """Singular, plural and field of `app.model.field`; the label itself for what is no model any more."""
    app, _, rest = label.partition(".")
    model_name, _, field = rest.partition(".")
    try:
        model: Any = apps.get_model(app, model_name)
    except LookupError:
        return label, label, ""
    return str(model._meta.verbose_name), str(model._meta.verbose_name_plural), field.replace("_", " ")


def _said(name: str, value: Any, clients: Mapping[int, str]) -> str:
    return clients.get(value, f"Client {value}") if name == "client" and value is not None else in_words(value)


class MergeChoiceForm(forms.Form):
    """Which other row a row is merged with."""

    other: forms.ModelChoiceField[Any] = forms.ModelChoiceField(queryset=None)

    def __init__(self, *args: Any, org: Organization, row: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        model = type(row)
        field = self.fields["other"]
        field.label = f"The other {model._meta.verbose_name}"
        field.widget = RowSelect(model._meta.get_field("canonical"), admin.site)
        field.queryset = model.objects.for_org(org).current().exclude(pk=row.pk)  # type: ignore[attr-defined]


class MergingAdmin(TransitionAdmin):
    """A page of a contact or client from which it is merged with another; a tombstone's leads to its survivor."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Lists and choices are without tombstones; their addresses are still known."""
        rows: QuerySet[Any] = super().get_queryset(request)
        match = request.resolver_match
        return rows if match is not None and "object_id" in match.kwargs else rows.filter(canonical__isnull=True)

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_merge"
        view = self.admin_site.admin_view(self.merge_view)
        return [path("<path:object_id>/merge/", view, name=name), *super().get_urls()]

    def locks(self, request: HttpRequest) -> bool:
        """Not for merges: the service locks in its own order."""
        match = request.resolver_match
        return super().locks(request) and not (match and str(match.url_name).endswith("_merge"))

    def buttons(self, request: HttpRequest, obj: Any) -> list[dict[str, Any]]:
        found = super().buttons(request, obj)
        if may(actor_of(request), "merge"):
            button = {"label": "Merge with…", "icon": "merge", "variant": "default"}
            found.append({"button": button, "link": self._merge_link(obj), "asks": True})
        return found

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        """As Django's; the page of one that was merged is its survivor's."""
        if request.method in {"GET", "HEAD"} and self.has_view_permission(request):
            row = self.get_object(request, unquote(object_id))
            if row is not None and row.canonical_id is not None:
                survivor = survivor_of(row)
                messages.info(request, f"{row} was merged into this {self.opts.verbose_name}.")
                return HttpResponseRedirect(page_of(survivor))
        return super().change_view(request, object_id, form_url, extra_context)

    def merge_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Ask for the other one, then show both side by side; a POST merges them as the form says.

        404 for a row of another organisation, and back to the row for those who may not merge.
        """
        row = self.get_object(request, unquote(object_id)) if self.has_view_permission(request) else None
        if row is None:
            raise Http404(f"There is no {self.opts.verbose_name} {object_id} in this organisation.")
        if not may(actor_of(request), "merge"):
            messages.error(request, "Merging needs a manager.")
            return HttpResponseRedirect(page_of(row))
        given = request.POST if request.method == "POST" else request.GET
        form = MergeChoiceForm(given if "other" in given else None, org=org_of(request), row=row)
        if not form.is_valid():
            return self._ask_for_other(request, row, form)
        other = form.cleaned_data["other"]
        survivor, loser = (other, row) if given.get("survivor") == str(other.pk) else (row, other)
        if request.method == "POST":
            return self._merge(request, row, survivor, loser)
        context = context_of(
            request,
            f"Merge two {self.opts.verbose_name_plural}",
            opts=self.opts,
            original=row,
            other=other,
            is_open=True,
            swap_link=f"?other={other.pk}&survivor={loser.pk}",
            post_link=self._merge_link(row),
            back=page_of(row),
            **comparison(request, survivor, loser),
        )
        return TemplateResponse(request, "clients/merge.html", context)

    def _merge(self, request: HttpRequest, row: Any, survivor: Any, loser: Any) -> HttpResponseBase:
        try:
            record = merge(request, survivor, loser, at=now())
        except FlowLedgerError as error:
            messages.error(request, explain(error))
            other = loser if survivor == row else survivor
            return HttpResponseRedirect(f"{self._merge_link(row)}?other={other.pk}&survivor={survivor.pk}")
        messages.success(request, merged_message(record))
        return HttpResponseRedirect(page_of(survivor))

    def _ask_for_other(self, request: HttpRequest, row: Any, form: MergeChoiceForm) -> HttpResponseBase:
        context = context_of(
            request,
            f"Merge this {self.opts.verbose_name} with another",
            subtitle=str(row),
            opts=self.opts,
            original=row,
            form=form,
            back=page_of(row),
            media=self.media + form.media,
        )
        status = 400 if form.is_bound else 200
        return TemplateResponse(request, "clients/merge_with.html", context, status=status)

    def _merge_link(self, row: Any) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_merge", args=[row.pk])
