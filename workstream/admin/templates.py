"""Set-up of checklists, kickoff tasks and the first proposal: versioned, so an edit publishes the next version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.datastructures import MultiValueDict
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.timezone import now
from unfold.decorators import display
from unfold.widgets import INPUT_CLASSES, SELECT_CLASSES

from flowledger.backoffice.forms import OrgModelForm
from flowledger.backoffice.navigation import Group, Menu
from flowledger.backoffice.org_admin import OrgAdmin
from flowledger.backoffice.requests import actor_of, org_of
from flowledger.tenancy.actors import Role
from flowledger.tenancy.models import Organization
from workstream import services
from workstream.models import ChecklistTemplate, ProposalTemplate
from workstream.models.checklists import TemplateKind
from workstream.rendering import PROPOSAL_VARIABLES
from workstream.services.checklists import kickoff_tasks, template_items
from workstream.services.proposals import proposal_template

BLANK_LINES = 4
MOST_LINES = 100


class TemplateLinesWidget(forms.Widget):
    """One line per item: its name, and whether it is required or in how many days it is due."""

    template_name = "workstream/widgets/template_lines.html"
    use_fieldset = True

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__(attrs)
        self.with_days = False

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        lines = list(value or ())
        context["widget"] |= {
            "lines": [*lines, *({} for _ in range(BLANK_LINES))],
            "with_days": self.with_days,
            "input_classes": " ".join(INPUT_CLASSES),
            "select_classes": " ".join(SELECT_CLASSES),
        }
        return context

    def render(self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None) -> SafeString:
        """With the project's templates, which Django's form renderer does not look into."""
        return mark_safe(render_to_string(self.template_name, self.get_context(name, value, attrs)))  # noqa: S308

    def value_from_datadict(
        self, data: Mapping[str, Any], files: MultiValueDict[str, Any], name: str
    ) -> list[dict[str, Any]]:
        """Lines without a name are left out: that is how a line is removed."""
        many: Any = data
        names, seconds = many.getlist(f"{name}_name")[:MOST_LINES], many.getlist(f"{name}_second")
        lines = []
        for text, second in zip(names, [*seconds, *[""] * len(names)], strict=False):
            if not text.strip():
                continue
            if self.with_days:
                lines.append({"name": text.strip(), "due_in_days": int(second) if second.isdecimal() else second or 0})
            else:
                lines.append({"name": text.strip(), "is_required": second != "optional"})
        return lines

    def value_omitted_from_data(self, data: Mapping[str, Any], files: MultiValueDict[str, Any], name: str) -> bool:
        return f"{name}_name" not in data


class TemplateLinesField(forms.Field):
    """A list of lines as the service takes them; the service judges them."""

    widget = TemplateLinesWidget

    def has_changed(self, initial: Any, data: Any) -> bool:
        return list(initial or ()) != list(data or ())


class ChecklistTemplateForm(OrgModelForm):
    kind = forms.ChoiceField(choices=TemplateKind.choices, widget=forms.HiddenInput)
    items = TemplateLinesField(
        required=False, label="Items", help_text="In this order. Empty lines are left out; clear a name to remove it."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields.get("items")
        if not isinstance(field, TemplateLinesField) or self.org is None:
            return
        kind = self.data.get("kind") if self.is_bound else self.initial.get("kind")
        if kind not in TemplateKind.values:
            kind = TemplateKind.PINK.value
        self.initial["kind"] = kind
        self.initial["items"] = lines_in_force(self.org)[kind]
        field.label = TemplateKind(kind).label
        if kind == TemplateKind.KICKOFF:
            field.widget.with_days = True
            field.help_text = f"The number is the day after the start on which a task is due. {field.help_text}"


def lines_in_force(org: Organization) -> dict[str, list[dict[str, Any]]]:
    """What new pursuits and engagements get today, per kind; the defaults where nothing was published."""
    kinds: dict[str, Sequence[Any]] = {kind: items for kind, (_version, items) in template_items(org=org).items()}
    kinds[TemplateKind.KICKOFF.value] = kickoff_tasks(org=org)
    return {kind: [asdict(item) for item in items] for kind, items in kinds.items()}


class VersionedAdmin(OrgAdmin):
    """Versions are added and never changed."""

    add_role = Role.MANAGER
    change_role = delete_role = None
    list_before_template = "workstream/templates_in_force.html"

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        cards = self.in_force(org_of(request))
        may_edit = self.has_add_permission(request)
        return super().changelist_view(request, {"in_force": cards, "may_edit": may_edit, **(extra_context or {})})

    def in_force(self, org: Organization) -> list[dict[str, Any]]:
        """Cards above the list: what applies today, with the link that edits it."""
        raise NotImplementedError


@admin.register(ChecklistTemplate)
class ChecklistTemplateAdmin(VersionedAdmin):
    menu = Menu(Group.SETUP, icon="checklist", order=40)
    form = ChecklistTemplateForm
    list_display = ("__str__", "item_count", "published_by", "created_at")
    ordering = ("kind", "-version")

    def in_force(self, org: Organization) -> list[dict[str, Any]]:
        add = reverse("admin:workstream_checklisttemplate_add")
        lines = lines_in_force(org)
        return [
            {
                "title": kind.label,
                "lines": [_line_in_words(line) for line in lines[kind.value]],
                "link": f"{add}?kind={kind.value}",
            }
            for kind in TemplateKind
        ]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            about = "Publishes the next version. What exists already keeps the items it has."
            return [(None, {"fields": ("kind", "items"), "description": about})]
        return [(None, {"fields": ("kind", "version", "lines", "published_by", "created_at")})]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [*super().get_readonly_fields(request, obj), "lines"]

    @display(description="Items")
    def item_count(self, obj: ChecklistTemplate) -> int:
        return len(obj.items)

    @display(description="Items")
    def lines(self, obj: ChecklistTemplate) -> str:
        items = format_html_join("", "<li>{}</li>", ((_line_in_words(line),) for line in obj.items))
        return format_html('<ul class="list-disc ml-4">{}</ul>', items)

    def save_through(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> Any:
        return services.publish_checklist_template(
            org=org_of(request),
            kind=form.cleaned_data["kind"],
            items=form.cleaned_data["items"],
            actor=actor_of(request),
            at=now(),
        )


@admin.register(ProposalTemplate)
class ProposalTemplateAdmin(VersionedAdmin):
    menu = Menu(Group.SETUP, icon="article", order=50)
    list_display = ("title", "version", "created_at")
    ordering = ("-version",)

    def in_force(self, org: Organization) -> list[dict[str, Any]]:
        title, body = proposal_template(org)
        link = reverse("admin:workstream_proposaltemplate_add")
        return [{"title": "First proposals begin with", "heading": title, "text": body, "link": link}]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is not None:
            return [(None, {"fields": ("version", "title", "text", "created_at")})]
        known = ", ".join(f"{{{{ {name} }}}}" for name in PROPOSAL_VARIABLES)
        about = f"Publishes the next version; proposals that exist keep their text. Markdown, with these names: {known}"
        return [(None, {"fields": ("title", "body"), "description": about})]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [*super().get_readonly_fields(request, obj), "text"]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        title, body = proposal_template(org_of(request))
        return {"title": title, "body": body}

    @display(description="Body")
    def text(self, obj: ProposalTemplate) -> str:
        return format_html('<pre class="max-w-4xl text-xs whitespace-pre-wrap">{}</pre>', obj.body)

    def save_through(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> Any:
        return services.publish_proposal_template(
            org=org_of(request), title=obj.title, body=obj.body, actor=actor_of(request), at=now()
        )


def _line_in_words(line: Mapping[str, Any]) -> str:
    if "due_in_days" in line:
        days = line["due_in_days"]
        return f"{line['name']} (day {days})"
    return f"{line['name']}" if line.get("is_required", True) else f"{line['name']} (optional)"
