"""Clients with their people and onboarding, contacts, and the identity keys by which both are recognised."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.timezone import now
from unfold.decorators import display

from flowledger.backoffice.forms import OrgModelForm
from flowledger.backoffice.navigation import Group, Menu
from flowledger.backoffice.org_admin import OrgTabularInline, ReadOnlyOrgAdmin
from flowledger.backoffice.panels import panels_of
from flowledger.backoffice.requests import actor_of, org_of
from flowledger.backoffice.transition_admin import TransitionAdmin, TransitionButton
from flowledger.clients import normalising, services
from flowledger.clients.admin.merges import MergingAdmin
from flowledger.clients.models import Client, Contact, IdentityKey, KeyStatus, OnboardingStatus, OnboardingTask

ONBOARDING_COLOURS = {
    OnboardingStatus.OPEN.value: "info",
    OnboardingStatus.DONE.value: "success",
    OnboardingStatus.CANCELLED.value: "",
}
KEY_COLOURS = {
    KeyStatus.UNRESOLVED.value: "warning",
    KeyStatus.AUTO.value: "success",
    KeyStatus.MANUAL.value: "info",
    KeyStatus.CONFLICT.value: "danger",
}


class ClientForm(OrgModelForm):
    """Takes a domain in any spelling, as the use case does; the model's constraints see the normal form."""

    domain = forms.CharField(max_length=500, required=False, help_text="A URL or an address will do.")
    country = forms.CharField(max_length=2, required=False, help_text="Two letters, for example DE.")

    def clean_domain(self) -> str:
        text: str = self.cleaned_data["domain"]
        domain = normalising.registrable_domain(text) if text else ""
        if domain is None:
            raise forms.ValidationError("This is no domain; write it like acme.co.uk.")
        return domain

    def clean_attributes(self) -> dict[str, Any]:
        return json_object(self.cleaned_data["attributes"])

    def clean_country(self) -> str:
        country: str = self.cleaned_data["country"]
        return country.upper()


class ContactForm(OrgModelForm):
    """Takes address and phone in any spelling, as the use case does; the model's constraints see the normal form."""

    phone = forms.CharField(max_length=60, required=False, help_text="Without a country code: of your region.")

    def clean_email(self) -> str:
        text: str = self.cleaned_data["email"]
        address = normalising.email_address(text) if text else ""
        if address is None:
            raise forms.ValidationError("This is no email address.")
        return address

    def clean_phone(self) -> str:
        text: str = self.cleaned_data["phone"]
        region = self.org.default_region if self.org else ""
        number = normalising.phone_number(text, region) if text else ""
        if number is None:
            raise forms.ValidationError("This is no phone number; begin with + and the country code.")
        return number

    def clean_preferences(self) -> dict[str, Any]:
        return json_object(self.cleaned_data["preferences"])

    def clean_social_links(self) -> dict[str, Any]:
        return json_object(self.cleaned_data["social_links"])


def json_object(value: Any) -> dict[str, Any]:
    """The value of a JSON field that holds an object; the empty field is the empty object."""
    if not isinstance(value or {}, dict):
        raise forms.ValidationError("This is a JSON object, for example {}.")
    return value or {}


def written(form: Any, known: Collection[str], *, change: bool) -> dict[str, Any]:
    """What a form sets: everything on a new row, what was changed on another."""
    names = form.changed_data if change else form.cleaned_data
    return {name: form.cleaned_data[name] for name in names if name in known}


class DirectoryAdmin(MergingAdmin):
    """What the pages of clients and contacts have in common: word search, merging, deletion decided by the use case."""

    change_form_template = "clients/directory.html"

    def panels(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        return {"registered_panels": panels_of(request, obj)}

    def get_search_results(self, request: HttpRequest, queryset: Any, term: str) -> tuple[QuerySet[Any], bool]:
        return queryset.search(term), False

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Rows that go along have pages on which nobody deletes; that is no reason against deleting the whole."""
        to_delete, counts, _needed, protected = super().get_deleted_objects(objs, request)
        return to_delete, counts, set(), protected


class ContactInline(OrgTabularInline):
    """The client's people; changed on their own page."""

    model = Contact
    form = ContactForm
    tab = True
    show_change_link = True
    change_role = delete_role = None
    per_page = 20
    fields = ("name", "email", "phone", "title")
    ordering = ("-pk",)

    def save_through(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> Contact:
        fields = {name: form.cleaned_data[name] for name in self.fields} | {"client": obj.client}
        return services.create_contact(org=org_of(request), fields=fields, actor=actor_of(request), at=now())


class OnboardingTaskInline(OrgTabularInline):
    """What is to be done to take the client on; done and dropped on the task's own page."""

    model = OnboardingTask
    tab = True
    show_change_link = True
    change_role = delete_role = None
    per_page = 20
    fields = ("title", "assignee", "due_date", "status")
    readonly_fields = ("status",)
    ordering = ("due_date", "pk")

    def save_through(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> OnboardingTask:
        fields = {name: form.cleaned_data[name] for name in ("title", "assignee", "due_date")}
        return services.create_onboarding_task(
            org=org_of(request), client_id=obj.client_id, fields=fields, actor=actor_of(request), at=now()
        )


class IdentityKeyInline(OrgTabularInline):
    """By which keys signals find the row."""

    model = IdentityKey
    tab = True
    add_role = change_role = delete_role = None
    per_page = 20
    fields = ("key_type", "key_value", "status", "occurrences", "last_seen")
    ordering = ("key_type", "key_value")
    verbose_name_plural = "identity keys"


@admin.register(Client)
class ClientAdmin(DirectoryAdmin):
    """Companies."""

    menu = Menu(Group.CLIENTS, icon="domain", order=10)
    form = ClientForm
    list_display = ("name", "domain", "industry", "size_band", "country", "is_active")
    list_filter = ("is_active", "size_band")
    search_fields = ("name",)
    search_help_text = "Words of name, domain and industry."
    ordering = ("-pk",)
    fieldsets = (
        (None, {"fields": ("name", "domain", "industry", "size_band", "annual_revenue", "country", "is_active")}),
        ("More", {"fields": ("attributes", "created_at", "updated_at"), "classes": ("collapse",)}),
    )
    inlines = (ContactInline, OnboardingTaskInline, IdentityKeyInline)

    def save_through(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> Client | None:
        fields = written(form, services.CLIENT_FIELDS, change=change)
        if change and not fields:
            return None
        if change:
            return services.update_client(
                org=org_of(request), client_id=obj.pk, fields=fields, actor=actor_of(request), at=now()
            )
        return services.create_client(org=org_of(request), fields=fields, actor=actor_of(request), at=now())

    def delete_through(self, request: HttpRequest, obj: Any) -> None:
        services.delete_client(org=org_of(request), client_id=obj.pk, actor=actor_of(request), at=now())


@admin.register(Contact)
class ContactAdmin(DirectoryAdmin):
    """People."""

    menu = Menu(Group.CLIENTS, icon="contacts", order=20)
    form = ContactForm
    list_display = ("__str__", "client", "title", "email", "phone", "is_active")
    list_filter = ("is_active",)
    search_fields = ("name",)
    search_help_text = "Words of name, address, job title, or the number as +49…"
    ordering = ("-pk",)
    fieldsets = (
        (None, {"fields": ("name", "client", "title", "email", "phone", "is_active")}),
        ("More", {"fields": ("preferences", "social_links", "created_at", "updated_at"), "classes": ("collapse",)}),
    )
    inlines = (IdentityKeyInline,)

    def save_through(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> Contact | None:
        fields = written(form, services.CONTACT_FIELDS, change=change)
        if change and not fields:
            return None
        if change:
            return services.update_contact(
                org=org_of(request), contact_id=obj.pk, fields=fields, actor=actor_of(request), at=now()
            )
        return services.create_contact(org=org_of(request), fields=fields, actor=actor_of(request), at=now())

    def delete_through(self, request: HttpRequest, obj: Any) -> None:
        services.delete_contact(org=org_of(request), contact_id=obj.pk, actor=actor_of(request), at=now())


@admin.register(OnboardingTask)
class OnboardingTaskAdmin(TransitionAdmin):
    """Onboarding across all clients; entered on the client's page, done and dropped by buttons."""

    menu = Menu(Group.CLIENTS, icon="checklist", order=30)
    add_role = delete_role = None
    list_display = ("title", "client", "status_badge", "assignee", "due_date")
    list_filter = ("status", "assignee")
    search_fields = ("title",)
    ordering = ("done_at", "cancelled_at", "due_date", "pk")
    fields = ("client", "title", "assignee", "due_date", "status", "done_at", "cancelled_at", "created_at")
    readonly_fields = ("client", "status", "done_at", "cancelled_at")
    transitions = (
        TransitionButton(
            "complete",
            service=services.complete_onboarding_task,
            label="Done",
            verb="edit_onboarding",
            argument="task_id",
            shown=lambda task: task.status == OnboardingStatus.OPEN,
            variant="primary",
            icon="check",
            success="The task is done.",
        ),
        TransitionButton(
            "cancel",
            service=services.cancel_onboarding_task,
            label="Drop",
            verb="edit_onboarding",
            argument="task_id",
            shown=lambda task: task.status == OnboardingStatus.OPEN,
            success="The task was dropped.",
        ),
        TransitionButton(
            "reopen",
            service=services.reopen_onboarding_task,
            label="Reopen",
            verb="edit_onboarding",
            argument="task_id",
            shown=lambda task: task.status != OnboardingStatus.OPEN,
            success="The task is open again.",
        ),
    )

    @display(description="Status", label=ONBOARDING_COLOURS)
    def status_badge(self, task: OnboardingTask) -> tuple[str, str]:
        return task.status, OnboardingStatus(task.status).label

    def save_through(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> OnboardingTask | None:
        if not form.changed_data:
            return None
        return services.update_onboarding_task(
            org=org_of(request),
            client_id=obj.client_id,
            task_id=obj.pk,
            fields={name: form.cleaned_data[name] for name in form.changed_data},
            actor=actor_of(request),
            at=now(),
        )


@admin.register(IdentityKey)
class IdentityKeyAdmin(ReadOnlyOrgAdmin):
    """Every key that signals brought and whom it names; those that point nowhere or contradict want a look."""

    menu = Menu(Group.CLIENTS, icon="fingerprint", order=40)
    list_display = ("key_value", "key_type", "status_badge", "contact", "client", "occurrences", "last_seen")
    list_filter = ("status", "key_type")
    search_fields = ("key_value__startswith",)
    search_help_text = "The beginning of an address, number, domain or name."
    ordering = ("-pk",)
    fields = (
        "key_type",
        "key_value",
        "status",
        "contact",
        "client",
        "confidence",
        "occurrences",
        "first_seen",
        "last_seen",
        "created_at",
    )

    @display(description="Status", label=KEY_COLOURS)
    def status_badge(self, key: IdentityKey) -> tuple[str, str]:
        return key.status, KeyStatus(key.status).label
