"""OrgAdmin and its inlines: admin pages that see, offer and store the rows of one organisation only.

This is one of the named places that may use a tenant model's `all_orgs` manager (as Django's default manager).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, cast

from django.contrib import messages
from django.contrib.admin.options import InlineModelAdmin
from django.core import checks
from django.core.exceptions import ValidationError
from django.db import IntegrityError, models
from django.db.models.deletion import ProtectedError, RestrictedError
from django.forms.models import _get_foreign_key
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from django_fsm import FSMFieldMixin
from psycopg.errors import ForeignKeyViolation, UniqueViolation
from unfold.admin import ModelAdmin, StackedInline, TabularInline

from flowledger.backoffice.choices import safe_filter, within
from flowledger.backoffice.forms import VERSION_FIELD, OrgModelForm
from flowledger.backoffice.navigation import Menu
from flowledger.backoffice.refusals import explain
from flowledger.backoffice.requests import actor_if_any, org_of
from flowledger.errors import Conflict, FlowLedgerError
from flowledger.tenancy.actors import Role
from flowledger.tenancy.checks import has_org

STAMPS = ("created_at", "updated_at")


class ScopedRows:
    """What OrgAdmin and its inlines share: the organisation's rows, its choices, and permission by role.

    `add_role`, `change_role` and `delete_role` are the weakest roles that may; None means nobody may. A
    representative changes and deletes only what they own or nobody owns, where rows have an `owner_id`.
    """

    model: type[models.Model]
    form = OrgModelForm
    view_role: ClassVar[Role] = Role.VIEWER
    add_role: ClassVar[Role | None] = Role.REP
    change_role: ClassVar[Role | None] = Role.REP
    delete_role: ClassVar[Role | None] = Role.MANAGER

    # --- rows ---

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        rows: models.QuerySet[Any] = super().get_queryset(request)  # type: ignore[misc]
        return rows.filter(org=org_of(request))

    # --- permission ---

    def allows(self, request: HttpRequest, role: Role | None, obj: Any = None) -> bool:
        """Whether the actor of the request reaches the role, and the row is not another representative's."""
        actor = actor_if_any(request)
        if actor is None or role is None or not actor.role.at_least(role):
            return False
        if actor.role is not Role.REP:
            return True
        owner_id = getattr(obj, "owner_id", None)
        return owner_id is None or owner_id == actor.user_id

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.allows(request, self.view_role)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.allows(request, self.change_role, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.allows(request, self.delete_role, obj)

    # --- fields ---

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[str]:
        """The declared ones, every state field (states move by transitions) and the stamps."""
        declared: Sequence[Any] = super().get_readonly_fields(request, obj)  # type: ignore[misc]
        names = {field.name for field in self.model._meta.concrete_fields}
        states = [f.name for f in self.model._meta.concrete_fields if isinstance(f, FSMFieldMixin)]
        ours = [*states, *(name for name in STAMPS if name in names)]
        return [*declared, *(name for name in ours if name not in declared)]

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        kwargs["queryset"] = self._choices(db_field, request, kwargs.get("queryset"))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)  # type: ignore[misc]

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        kwargs["queryset"] = self._choices(db_field, request, kwargs.get("queryset"))
        return super().formfield_for_manytomany(db_field, request, **kwargs)  # type: ignore[misc]

    def get_autocomplete_fields(self, request: HttpRequest) -> Sequence[str]:
        """The declared ones, and every reference to a model whose page can be searched: lists may be long."""
        declared: Sequence[str] = super().get_autocomplete_fields(request)  # type: ignore[misc]
        site: Any = self.admin_site  # type: ignore[attr-defined]
        searchable = []
        for field in self.model._meta.concrete_fields:
            target = field.related_model
            if field.name == "org" or not isinstance(target, type):
                continue
            page = site._registry.get(target)
            if isinstance(page, OrgAdmin) and page.get_search_fields(request) and field.name not in declared:
                searchable.append(field.name)
        return [*declared, *searchable]

    def _choices(self, db_field: Any, request: HttpRequest, declared: Any) -> models.QuerySet[Any]:
        rows = declared
        if rows is None:
            rows = self.get_field_queryset(None, db_field, request)  # type: ignore[attr-defined]
        if rows is None:
            rows = db_field.remote_field.model._default_manager.all()
        return within(org_of(request), rows)

    # --- storing: hooks for the pages of an app ---

    def save_through(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> Any:
        """Store the row. Call the app's service here; return the stored row when the service made one of its own.

        `obj` carries the form's values and is not stored yet; its organisation is set, its row is locked when it
        exists. A FlowLedgerError shows on the form.
        """
        if not change or form.changed_data:
            obj.save()
        return None

    def delete_through(self, request: HttpRequest, obj: Any) -> None:
        """Delete the row. Call the app's service here where it has one."""
        obj.delete()


class OrgAdmin(ScopedRows, ModelAdmin):
    """Base of every admin page over a tenant model.

    Subclasses set roles, `menu`, and the usual options; rows, choices and autocompletes are limited already.
    """

    menu: ClassVar[Menu | None] = None
    list_per_page = 50
    list_max_show_all = 200
    show_full_result_count = False
    show_facets = ModelAdmin.show_facets.NEVER
    list_filter_submit = True
    warn_unsaved_form = True
    actions: Any = None
    change_form_template = "backoffice/change_form.html"

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        found = [*super().check(**kwargs)]
        if not has_org(self.model):
            found.append(checks.Error(f"{self.model.__name__} is no tenant model.", id="backoffice.E002", obj=self))
        if not issubclass(self.form, OrgModelForm):
            found.append(checks.Error("The form is no OrgModelForm.", id="backoffice.E003", obj=type(self)))
        for inline in self.inlines:
            if not issubclass(inline, ScopedRows):
                found.append(checks.Error(f"{inline.__name__} is no Org inline.", id="backoffice.E004", obj=type(self)))
        if self.list_editable:
            found.append(checks.Error("list_editable knows no versions.", id="backoffice.E005", obj=type(self)))
        return found

    # --- permission ---

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.allows(request, self.view_role)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.allows(request, self.add_role)

    # --- lists ---

    def get_list_filter(self, request: HttpRequest) -> Sequence[Any]:
        return [safe_filter(self, declared) for declared in super().get_list_filter(request)]

    def get_list_select_related(self, request: HttpRequest) -> bool | Sequence[str]:
        """What is declared, else every reference that the list shows: one query whatever the number of rows."""
        declared: Any = super().get_list_select_related(request)
        if declared:
            return cast("bool | Sequence[str]", declared)
        references = {f.name for f in self.model._meta.concrete_fields if f.is_relation}
        return [name for name in self.get_list_display(request) if isinstance(name, str) and name in references]

    # --- one row ---

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[Any]:
        return [name for name in super().get_fields(request, obj) if name != VERSION_FIELD]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        form.org = org_of(request)
        form.refusal = getattr(request, "backoffice_refusal", None)
        return form

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """The row through the scope. Before a form is stored the row is locked, so that versions can be compared."""
        if request.method == "POST" and self.locks(request):
            self._lock(request, object_id, from_field)
        return super().get_object(request, object_id, from_field)

    def locks(self, request: HttpRequest) -> bool:
        """Whether this POST changes the row by itself; services called without a form take their own locks."""
        return True

    def _lock(self, request: HttpRequest, object_id: str, from_field: str | None) -> None:
        field: Any = self.model._meta.pk if from_field is None else self.model._meta.get_field(from_field)
        try:
            wanted = {"org": org_of(request), field.name: field.to_python(object_id)}
        except (ValidationError, ValueError):
            return
        rows = self.model._default_manager.filter(**wanted).select_for_update(no_key=True)
        rows.values_list("pk").first()

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """As Django's; what a service refuses comes back on the form, and nothing of the attempt stays."""
        return self._or_on_the_form(
            request, lambda: super(OrgAdmin, self).changeform_view(request, object_id, form_url, extra_context)
        )

    def _or_on_the_form(self, request: HttpRequest, view: Callable[[], Any]) -> Any:
        try:
            return view()
        except FlowLedgerError as error:
            # Django's view wrapped everything in a savepoint, and the evidence went with it.
            error.keep()
            refusal: FlowLedgerError = error
        except IntegrityError as error:
            refusal = _conflict_of(error)
        request.backoffice_refusal = refusal  # type: ignore[attr-defined]
        return view()

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        stored = self.save_through(request, obj, form, change)
        if stored is not None and stored is not obj:
            # The rest of Django's view (inlines, log, redirect) goes on with `obj`.
            obj.__dict__.update(stored.__dict__)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self.delete_through(request, obj)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """Rows of our inlines go through the inline's hooks, in the order of the page."""
        inline = getattr(formset, "org_inline", None)
        if inline is None:
            super().save_formset(request, form, formset, change)
            return
        formset.save(commit=False)
        forms_of = {id(each.instance): each for each in formset.forms}
        for obj in formset.deleted_objects:
            inline.delete_through(request, obj)
        for obj, _changed in formset.changed_objects:
            inline.save_through(request, obj, forms_of[id(obj)], change=True)
        for obj in formset.new_objects:
            inline.save_through(request, obj, forms_of[id(obj)], change=False)

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        """As Django's; a deletion that the database or a service refuses says so and changes nothing."""
        try:
            return super().delete_view(request, object_id, extra_context)
        except FlowLedgerError as error:
            error.keep()
            messages.error(request, explain(error))
        except (ProtectedError, RestrictedError):
            messages.error(request, "This is still in use elsewhere, so it was not deleted.")
        except IntegrityError as error:
            messages.error(request, explain(_conflict_of(error)))
        return HttpResponseRedirect(self.link_to(object_id))

    def link_to(self, object_id: Any) -> str:
        """The change page of a row."""
        name = f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_change"
        return reverse(name, args=[object_id])


class ScopedInline(ScopedRows):
    """What OrgTabularInline and OrgStackedInline share."""

    extra = 0
    show_change_link = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.allows(request, self.add_role, obj)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """The version travels with every row, as a hidden field."""
        fieldsets: Any = super().get_fieldsets(request, obj)  # type: ignore[misc]
        fields = [name for _title, options in fieldsets for name in options["fields"]]
        if VERSION_FIELD in fields or not self.has_change_permission(request, obj):
            return fieldsets
        *before, (title, options) = fieldsets
        return [*before, (title, {**options, "fields": [*options["fields"], VERSION_FIELD]})]

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        formset: Any = super().get_formset(request, obj, **kwargs)  # type: ignore[misc]
        formset.form.org = org_of(request)
        formset.org_inline = self
        if request.method == "POST" and obj is not None and self.has_change_permission(request, obj):
            self._lock_rows(request, obj)
        return formset

    def _lock_rows(self, request: HttpRequest, parent: Any) -> None:
        inline = cast("InlineModelAdmin[Any, Any]", self)
        key = _get_foreign_key(inline.parent_model, self.model, fk_name=inline.fk_name)
        rows = self.model._default_manager.filter(org=org_of(request), **{key.name: parent}).order_by("pk")
        list(rows.select_for_update(no_key=True).values_list("pk"))


class OrgTabularInline(ScopedInline, TabularInline):
    """A table of rows of the same organisation below the row they belong to."""


class OrgStackedInline(ScopedInline, StackedInline):
    """Forms of rows of the same organisation below the row they belong to."""


class ReadOnlyOrgAdmin(OrgAdmin):
    """A page that shows: nothing on it is added, changed or deleted by hand."""

    add_role = None
    change_role = None
    delete_role = None


def _conflict_of(error: IntegrityError) -> Conflict:
    """What the database refused, in words; re-raises what is no rule that a person can run into."""
    cause = error.__cause__
    if isinstance(cause, UniqueViolation):
        return Conflict("Somebody stored the same thing a moment ago. Look for it before you try again.")
    if isinstance(cause, ForeignKeyViolation):
        return Conflict("This is still in use elsewhere, or what it refers to was deleted meanwhile.")
    raise error
