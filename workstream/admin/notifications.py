"""What one person was told, in the back office: the bell of the header, the list, and how they want to be told."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.timezone import now
from django.views.decorators.http import require_GET, require_POST
from unfold.forms import AdminForm

from flowledger.backoffice import pages
from flowledger.backoffice.forms import style
from flowledger.backoffice.refusals import explain
from flowledger.backoffice.requests import actor_of, org_of
from flowledger.errors import FlowLedgerError, NotFound
from workstream import services
from workstream.admin.calendars import time_zones
from workstream.models import Notification
from workstream.models.notifications import EmailMode
from workstream.services.notifications import preference_of

PER_PAGE = 50


def _mine(request: HttpRequest) -> Any:
    return Notification.objects.for_org(org_of(request)).filter(user_id=actor_of(request).user_id)


def bell(request: HttpRequest) -> pages.Mark:
    """How much the person has not read."""
    number = _mine(request).filter(read_at__isnull=True).count()
    label = f"Notifications: {number} unread" if number else "Notifications"
    return pages.Mark(label=label, icon="notifications", link=reverse("admin:notifications"), number=number)


@require_GET
def notifications(request: HttpRequest) -> HttpResponseBase:
    """The person's own, newest first; `?unread=1` leaves out what was read, `?before=` goes on with older ones."""
    rows = _mine(request).order_by("-pk")
    unread_only = request.GET.get("unread") == "1"
    if unread_only:
        rows = rows.filter(read_at__isnull=True)
    before = request.GET.get("before", "")
    if before.isascii() and before.isdigit() and len(before) < 19:
        rows = rows.filter(pk__lt=int(before))
    shown = list(rows[: PER_PAGE + 1])
    older = shown[PER_PAGE - 1].pk if len(shown) > PER_PAGE else None
    context = {
        **admin.site.each_context(request),
        "title": "Notifications",
        "rows": [{"row": row, "leads_somewhere": bool(_link_of(row))} for row in shown[:PER_PAGE]],
        "unread_only": unread_only,
        "older": older,
    }
    return TemplateResponse(request, "workstream/notifications/list.html", context)


@require_POST
def notification_read(request: HttpRequest, notification_id: int) -> HttpResponseBase:
    """Mark one as read; with `open` the answer leads to what it is about."""
    try:
        row = services.mark_notification_read(
            org=org_of(request), notification_id=notification_id, actor=actor_of(request), at=now()
        )
    except NotFound as error:
        raise Http404(error.message) from error
    link = _link_of(row) if request.POST.get("open") else ""
    return HttpResponseRedirect(link or reverse("admin:notifications"))


@require_POST
def notifications_read_all(request: HttpRequest) -> HttpResponseBase:
    """Mark all of the person's as read."""
    number = services.mark_all_notifications_read(org=org_of(request), actor=actor_of(request), at=now())
    messages.success(request, f"{number} marked as read." if number else "There was nothing to read.")
    return HttpResponseRedirect(reverse("admin:notifications"))


class PreferenceForm(forms.Form):
    email_mode = forms.ChoiceField(label="Email", choices=EmailMode.choices)
    digest_time = forms.TimeField(
        label="Digest at",
        widget=forms.TimeInput,
        help_text="When the email of the day goes out, if you want one a day.",
    )
    quiet_from = forms.TimeField(
        required=False,
        label="Quiet from",
        widget=forms.TimeInput,
        help_text="No email goes out in the quiet hours; it waits for their end. They may pass midnight.",
    )
    quiet_to = forms.TimeField(required=False, label="Quiet to", widget=forms.TimeInput)
    timezone = forms.ChoiceField(
        required=False,
        label="Time zone",
        choices=lambda: [("", "The organisation's"), *time_zones()],
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            style(field)


def notification_preferences(request: HttpRequest) -> HttpResponseBase:
    """How the person wants to be told in this organisation."""
    actor = actor_of(request)
    stored = preference_of(org=org_of(request), actor=actor)
    initial = {name: getattr(stored, name) for name in PreferenceForm.base_fields}
    form = PreferenceForm(request.POST if request.method == "POST" else None, initial=initial)
    if form.is_valid():
        try:
            services.set_notification_preferences(org=org_of(request), fields=form.cleaned_data, actor=actor, at=now())
        except FlowLedgerError as error:
            fields = error.details.get("fields") or {None: [explain(error)]}
            for name, sentences in fields.items():
                for sentence in sentences:
                    form.add_error(name if name in form.fields else None, sentence)
        else:
            messages.success(request, "Stored.")
            return HttpResponseRedirect(reverse("admin:notifications"))
    context = {
        **admin.site.each_context(request),
        "title": "How I am told",
        "adminform": AdminForm(form, [(None, {"fields": list(form.fields)})], {}),
        "errors": form.errors,
        "back": reverse("admin:notifications"),
    }
    status = 400 if form.errors else 200
    return TemplateResponse(request, "workstream/notifications/preferences.html", context, status=status)


def _link_of(row: Notification) -> str:
    """The page of the item that a notification is about; "" where it has none."""
    if row.item_id is None:
        return ""
    for model in admin.site._registry:
        if model._meta.model_name == row.item_type:
            return reverse(f"admin:{model._meta.app_label}_{row.item_type}_change", args=[row.item_id])
    return ""


pages.register_mark(bell)
for page in (
    pages.Page("notifications", "notifications/", notifications),
    pages.Page("notifications_read_all", "notifications/read-all/", notifications_read_all),
    pages.Page("notification_preferences", "notifications/preferences/", notification_preferences),
    pages.Page("notification_read", "notifications/<int:notification_id>/read/", notification_read),
):
    pages.register_page(page)
