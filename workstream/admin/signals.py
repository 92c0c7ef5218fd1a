"""Signals: what came in, kept as received; rejected, linked or opened as a candidate by buttons."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils.html import format_html
from django.utils.timezone import now
from unfold.contrib.filters.admin import RangeDateFilter
from unfold.decorators import display

from flowledger.backoffice.choices import members_of
from flowledger.backoffice.forms import RowSelect, TransitionForm
from flowledger.backoffice.navigation import Group, Menu
from flowledger.backoffice.requests import actor_of, org_of
from flowledger.backoffice.transition_admin import TransitionButton
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization, User
from workstream import services
from workstream.admin.cluster_panel import cluster_panel, identity_panel, offer_of, tell
from workstream.admin.columns import SIGNAL_COLOURS, badge
from workstream.admin.inlines import ActivityInline, ItemInline, LinkInline, MomentForm, TaskInline
from workstream.admin.items import ItemAdmin, WordSearch, link_to, page_of
from workstream.machines import SignalDisposition
from workstream.models import Candidate, CandidateSignal, Signal, SignalDelivery, SignalPayload
from workstream.models.candidates import ValueBand
from workstream.models.signals import Channel, SourceType
from workstream.services.cluster_links import Linked

LINKABLE = (SignalDisposition.NEW.value, SignalDisposition.LINKED.value, SignalDisposition.DUPLICATE.value)
BY_HAND = (SourceType.CALL, SourceType.NOTE)
PAYLOAD_SHOWN = 20_000

GIVEN = (
    "snippet",
    "problem_phrase",
    "solution_hint",
    "urgency_score",
    "contact_name",
    "contact_email",
    "contact_phone",
    "company_name",
    "company_domain",
)


class SignalForm(MomentForm):
    """Logs a signal by hand; only conversations are, everything else has its own channel."""

    ts = forms.DateTimeField(required=False, label="When (empty: now)", widget=forms.DateTimeInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "source_type" in self.fields:
            self.fields["source_type"].choices = [(kind.value, kind.label) for kind in BY_HAND]  # type: ignore[attr-defined]
        if "snippet" in self.fields:
            self.fields["snippet"].required = True


class RejectForm(TransitionForm):
    reason = forms.CharField(max_length=500, widget=forms.Textarea(attrs={"rows": 3}))


class LinkForm(TransitionForm):
    candidate: forms.ModelChoiceField[Candidate] = forms.ModelChoiceField(queryset=None)
    reason = forms.CharField(max_length=300, required=False, help_text="Why they belong together.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["candidate"]
        field.widget = RowSelect(CandidateSignal._meta.get_field("candidate"), admin.site)
        field.queryset = Candidate.objects.for_org(self.org)  # type: ignore[attr-defined]


class OpenCandidateForm(TransitionForm):
    title = forms.CharField(
        max_length=200, required=False, help_text="Empty: who it is from and what it says, taken from the signal."
    )
    value_band = forms.ChoiceField(choices=ValueBand.choices, initial=ValueBand.MEDIUM)
    owner = forms.ModelChoiceField(queryset=User.objects.none(), required=False, empty_label="Nobody yet")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        owner = self.fields["owner"]
        owner.queryset = members_of(self.org)  # type: ignore[attr-defined]
        owner.initial = getattr(self.item, "owner_id", None)


def link_signal_to(
    *, org: Organization, signal_id: int, candidate: Candidate, reason: str, actor: Actor, at: datetime
) -> Signal:
    return services.link_signal(
        org=org, signal_id=signal_id, candidate_id=candidate.pk, reason=reason, actor=actor, at=at
    )


def link_cluster_to(
    *, org: Organization, signal_id: int, candidate: Candidate, reason: str, actor: Actor, at: datetime
) -> list[Linked]:
    return services.link_cluster(
        org=org, signal_id=signal_id, candidate_id=candidate.pk, reason=reason, actor=actor, at=at
    )


def open_candidate(
    *,
    org: Organization,
    signal_id: int,
    title: str,
    value_band: str,
    owner: User | None,
    actor: Actor,
    at: datetime,
) -> Candidate:
    fields = {"title": title, "value_band": value_band, "owner": owner}
    return services.create_candidate(org=org, fields=fields, signal_ids=[signal_id], actor=actor, at=at)


class PayloadInline(ItemInline):
    """What came in, byte for byte."""

    model = SignalPayload
    add_role = None
    fields = ("content", "content_type", "sha256", "received_at")
    readonly_fields = ("content",)
    ordering = ("pk",)
    show_count = False
    verbose_name = "payload"
    verbose_name_plural = "payload"

    @display(description="Content")
    def content(self, obj: SignalPayload) -> str:
        text = bytes(obj.body[: PAYLOAD_SHOWN + 1]).decode(errors="replace")
        if len(text) > PAYLOAD_SHOWN:
            text = f"{text[:PAYLOAD_SHOWN]}\n… {len(obj.body):,} bytes in all"
        else:
            text = _indented(text)
        return format_html('<pre class="max-w-4xl overflow-x-auto text-xs whitespace-pre-wrap">{}</pre>', text)


class DeliveryInline(ItemInline):
    """The first delivery and every repeat."""

    model = SignalDelivery
    add_role = None
    fields = ("received_at", "sender", "is_repeat", "payload_sha256")
    ordering = ("-received_at", "-pk")
    verbose_name_plural = "deliveries"


class LinkedCandidateInline(ItemInline):
    """The candidates that this signal feeds."""

    model = CandidateSignal
    add_role = None
    fields = ("candidate_link", "reason", "linked_by", "linked_at")
    readonly_fields = ("candidate_link",)
    ordering = ("pk",)
    verbose_name_plural = "candidates"

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("candidate", "linked_by")

    @display(description="Candidate")
    def candidate_link(self, obj: CandidateSignal) -> str:
        return link_to(obj.candidate)


@admin.register(Signal)
class SignalAdmin(WordSearch, ItemAdmin):
    """Facts stay as received; the owner can change."""

    menu = Menu(Group.PIPELINE, icon="sensors", order=10)
    change_form_template = "workstream/signal.html"
    form = SignalForm
    list_display = ("summary", "disposition_badge", "source_type", "client", "contact", "owner", "ts")
    list_filter = ("disposition", "source_type", "owner", ("ts", RangeDateFilter))
    search_fields = ("snippet",)
    search_help_text = "Words of the text, name, company, address or phrase."
    ordering = ("-ts", "-pk")
    inlines = (LinkedCandidateInline, ActivityInline, TaskInline, LinkInline, DeliveryInline, PayloadInline)
    transitions = (
        TransitionButton(
            "open-candidate",
            service=open_candidate,
            label="Open candidate",
            verb="create_candidate",
            sources=LINKABLE,
            form=OpenCandidateForm,
            variant="primary",
            icon="person_add",
            explanation="Opens a qualified lead from this signal, with its client and contact.",
            success="The candidate was opened.",
        ),
        TransitionButton(
            "link",
            service=link_signal_to,
            label="Link to candidate",
            verb="link_signal",
            form=LinkForm,
            icon="link",
            success="The signal is linked.",
        ),
        TransitionButton(
            "link-cluster",
            service=link_cluster_to,
            label="Link the cluster",
            verb="link_signal",
            form=LinkForm,
            shown=lambda signal: signal.cluster_id is not None,
            sources=LINKABLE,
            icon="hub",
            explanation="Puts this signal and all others of the same buying event behind one candidate.",
        ),
        TransitionButton(
            "reject",
            service=services.reject_signal,
            label="Reject",
            verb="reject_signal",
            form=RejectForm,
            icon="block",
            explanation="The signal stays in the ledger, marked as rejected with your reason.",
            success="The signal was rejected.",
        ),
    )

    disposition_badge = badge("disposition", SIGNAL_COLOURS, description="State")

    @display(description="Signal", ordering="-ts")
    def summary(self, obj: Signal) -> str:
        who = obj.company_name or obj.contact_name or obj.contact_email or obj.contact_phone or "Unknown sender"
        what = obj.problem_phrase or obj.snippet
        short = f"{what[:90]}…" if len(what) > 90 else what
        return format_html(
            '<span class="block">{}</span><span class="font-normal text-subtle text-xs">{}</span>', who, short
        )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return [
                (None, {"fields": ("source_type", "ts", *GIVEN[:4], "owner")}),
                ("Who", {"fields": GIVEN[4:], "description": "An address, number or domain finds the client."}),
            ]
        # What was not given would only be noise.
        said = [name for name in GIVEN[:4] if getattr(obj, name) not in {"", None}]
        who = [name for name in GIVEN[4:] if getattr(obj, name)]
        return [
            (None, {"fields": ("owner", "source_type", "ts", *said)}),
            ("Who", {"fields": (*who, "client_link", "contact_link")}),
            (
                "Record",
                {
                    "fields": (
                        "disposition",
                        "reject_reason",
                        "first_touch_at",
                        "source_ref",
                        "dedupe_key",
                        "attributes",
                        "created_at",
                    ),
                    "classes": ("collapse",),
                },
            ),
        ]

    def panels(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        return {"identity": identity_panel(obj), "cluster_panel": cluster_panel(request, obj)}

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        always = super().get_readonly_fields(request, obj)
        if obj is None:
            return always
        shown = [name for _title, options in self.get_fieldsets(request, obj) for name in options["fields"]]
        return [*always, *(name for name in shown if name != "owner" and name not in always)]

    @display(description="Client")
    def client_link(self, obj: Signal) -> str:
        return link_to(obj.client)

    @display(description="Contact")
    def contact_link(self, obj: Signal) -> str:
        return link_to(obj.contact)

    def save_through(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> Any:
        if change:
            if "owner" not in form.changed_data:
                return None
            return services.update_signal(
                org=org_of(request),
                signal_id=obj.pk,
                fields={"owner": form.cleaned_data["owner"]},
                actor=actor_of(request),
                at=now(),
            )
        given = {name: form.cleaned_data[name] for name in ("source_type", "ts", *GIVEN, "owner")}
        at = now()
        received = services.create_signal(
            org=org_of(request),
            fields={**given, "ts": given["ts"] or at},
            sender=f"logged by {actor_of(request).label}",
            channel=Channel.HAND,
            actor=actor_of(request),
            at=at,
        )
        return received.signal

    def transition_done(
        self, request: HttpRequest, button: TransitionButton, obj: Any, result: Any
    ) -> HttpResponseBase:
        if button.name == "open-candidate":
            self.message_user(request, button.success, messages.SUCCESS)
            return HttpResponseRedirect(page_of(result))
        if button.name == "link-cluster":
            tell(request, result)
            return HttpResponseRedirect(self.return_link(request, obj))
        if button.name == "link" and (offer := offer_of(org_of(request), result, int(request.POST["candidate"]))):
            self.message_user(request, offer, messages.SUCCESS)
            return HttpResponseRedirect(self.return_link(request, obj))
        return super().transition_done(request, button, obj, result)


def _indented(text: str) -> str:
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text
