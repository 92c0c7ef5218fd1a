"""What people do about a score on the page of an item: score it again, set it by hand, take that back."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.apps import apps
from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.utils.timezone import now
from django.views.decorators.http import require_http_methods, require_POST
from unfold.forms import AdminForm

from flowledger.backoffice import pages
from flowledger.backoffice.forms import TransitionForm
from flowledger.backoffice.refusals import explain
from flowledger.backoffice.requests import actor_of, org_of
from flowledger.errors import FlowLedgerError
from flowledger.tenancy.actors import Role
from flowledger.tenancy.models import Organization
from spotlight import services
from spotlight.models import SCORED_MODELS, Cause, Recommendation, Spotlight
from spotlight.rules import OVERRIDE_DAYS
from workstream.admin.items import page_of

LAST_DAY = date(9000, 1, 1)


class OverrideForm(TransitionForm):
    recommendation = forms.ChoiceField(
        choices=[("", "As the score says"), *Recommendation.choices],
        required=False,
        help_text="Without a score it is where this band begins.",
    )
    match_score = forms.DecimalField(
        required=False, min_value=0, max_value=1, decimal_places=4, label="Score", help_text="From 0 to 1."
    )
    reason = forms.CharField(max_length=500, widget=forms.Textarea(attrs={"rows": 3}))
    last_day = forms.DateField(required=False, widget=forms.DateInput, label="Until the end of")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["match_score"].widget.attrs |= {"step": "0.01", "min": "0", "max": "1"}
        self.fields["last_day"].help_text = f"Empty: for {OVERRIDE_DAYS.of(self.org)} days."


@require_POST
def rescore(request: HttpRequest, item_type: str, item_id: int) -> HttpResponseBase:
    """Score the item now against every active profile."""
    item = _item(request, item_type, item_id)
    try:
        scored = services.evaluate_items(
            org=org_of(request),
            item_type=item_type,
            item_ids=[item_id],
            cause=Cause.MANUAL,
            actor=actor_of(request),
            at=now(),
        )
    except FlowLedgerError as error:
        messages.error(request, explain(error))
    else:
        said = "Scored again; the score has moved." if scored.changed else "Scored again; nothing has changed."
        messages.success(request, said)
    return HttpResponseRedirect(page_of(item))


@require_http_methods(["GET", "HEAD", "POST"])
def override(request: HttpRequest, item_type: str, item_id: int, spotlight_id: int) -> HttpResponseBase:
    """Ask for a score, a reason and an end, and let it count."""
    item = _item(request, item_type, item_id)
    org = org_of(request)
    spotlight = Spotlight.objects.for_org(org).filter(pk=spotlight_id).order_by("pk").first()
    if spotlight is None:
        raise Http404(f"There is no profile {spotlight_id} in this organisation.")
    form = OverrideForm(request.POST if request.method == "POST" else None, org=org, item=item)
    if form.is_valid() and _set(request, form, item_type, item_id, spotlight):
        return HttpResponseRedirect(page_of(item))
    context = {
        **admin.site.each_context(request),
        "title": "Set the score by hand",
        "subtitle": str(item),
        "button": {
            "label": "Set the score by hand",
            "icon": "edit",
            "variant": "primary",
            "explanation": f"It counts for “{spotlight}” until it ends; the computed score goes on beside it.",
        },
        "adminform": AdminForm(form, [(None, {"fields": list(form.fields)})], {}, (), model_admin=None),
        "errors": form.errors,
        "back": page_of(item),
        "media": form.media,
    }
    return TemplateResponse(request, "backoffice/transition_form.html", context, status=400 if form.errors else 200)


@require_POST
def end_override(request: HttpRequest, item_type: str, item_id: int, spotlight_id: int) -> HttpResponseBase:
    """Let the computed score count again."""
    item = _item(request, item_type, item_id)
    try:
        services.end_override(
            org=org_of(request),
            item_type=item_type,
            item_id=item_id,
            spotlight_id=spotlight_id,
            actor=actor_of(request),
            at=now(),
        )
        messages.success(request, "The computed score counts again.")
    except FlowLedgerError as error:
        messages.error(request, explain(error))
    return HttpResponseRedirect(page_of(item))


def _set(request: HttpRequest, form: OverrideForm, item_type: str, item_id: int, spotlight: Any) -> bool:
    """Let the service judge; its refusal becomes the form's errors."""
    given, org = form.cleaned_data, org_of(request)
    score: Decimal | None = given["match_score"]
    try:
        set_by_hand = services.override_score(
            org=org,
            item_type=item_type,
            item_id=item_id,
            spotlight_id=spotlight.pk,
            reason=given["reason"],
            match_score=score,
            recommendation=given["recommendation"],
            expires_at=_end_of(given["last_day"], org),
            actor=actor_of(request),
            at=now(),
        )
    except FlowLedgerError as error:
        names = {"expires_at": "last_day"}
        fields = error.details.get("fields") or {}
        for name, sentences in fields.items():
            for sentence in sentences:
                shown = names.get(name, name)
                form.add_error(shown if shown in form.fields else None, sentence)
        if not fields:
            form.add_error(None, error.message)
        return False
    label = Recommendation(set_by_hand.recommendation).label.lower()
    messages.success(request, f"The score is {set_by_hand.match_score:.2f}, {label}, until it ends or is taken back.")
    return True


def _end_of(day: date | None, org: Organization) -> datetime | None:
    """The midnight that ends a day of the organisation; the last days of the calendar, which have none, are refused."""
    if day is None:
        return None
    return datetime.combine(min(day, LAST_DAY) + timedelta(days=1), time.min, ZoneInfo(org.timezone))


def _item(request: HttpRequest, item_type: str, item_id: int) -> Any:
    """The signal or candidate. 404 for another kind, and for another organisation's."""
    label = SCORED_MODELS.get(item_type)
    model: Any = apps.get_model(label) if label else None
    item = model and model.objects.for_org(org_of(request)).filter(pk=item_id).order_by("pk").first()
    if item is None:
        raise Http404(f"There is no {item_type} {item_id} in this organisation.")
    return item


def register() -> None:
    """Put the pages below the site's root; the panel leads to them."""
    own = "spotlight/scores/<slug:item_type>/<int:item_id>"
    for page in (
        pages.Page("score_rescore", f"{own}/rescore/", rescore, Role.REP),
        pages.Page("score_override", f"{own}/override/<int:spotlight_id>/", override, Role.MANAGER),
        pages.Page("score_override_end", f"{own}/override/<int:spotlight_id>/end/", end_override, Role.MANAGER),
    ):
        pages.register_page(page)


register()
