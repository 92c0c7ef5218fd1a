"""List filters by relation: short lists are offered, long ones are searched, and never a stranger's rows."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.test import RequestFactory
from unfold.contrib.filters.admin import AutocompleteSelectFilter, RelatedDropdownFilter

from flowledger.backoffice.choices import OrgChoices
from flowledger.backoffice.org_admin import OrgAdmin
from flowledger.clients.models import Client, Contact
from flowledger.tenancy.actors import Role
from flowledger.tenancy.models import ApiKey, User
from flowledger.tenancy.scope import org_scope
from tests.backoffice.rows import make_row


def filters_of(model, *declared):
    page = type("Page", (OrgAdmin,), {"list_filter": declared})(model, admin.site)
    return page, page.get_list_filter(RequestFactory().get("/"))


def build(page, declared, house):
    path, kind = declared
    request = RequestFactory().get("/")
    request.org = house.org
    field = page.model._meta.get_field(path)
    return kind(field, request, {}, page.model, page, path)


@pytest.mark.parametrize("kind", [None, RelatedDropdownFilter, admin.RelatedFieldListFilter])
def test_people_are_the_live_members(home, abroad, kind):
    page, [declared] = filters_of(ApiKey, ("created_by", kind) if kind else "created_by")
    with org_scope(home.org):
        row = home.membership(Role.REP)
        row.is_active = False
        row.save(update_fields=["is_active"])
        offered = {pk for pk, _ in build(page, declared, home).lookup_choices}
    assert offered == {user.pk for role, user in home.people.items() if role is not Role.REP}
    assert issubclass(declared[1], OrgChoices)
    assert User.objects.count() > len(offered)


@pytest.mark.parametrize("kind", [None, AutocompleteSelectFilter])
def test_what_can_be_searched_is_not_listed(home, abroad, kind):
    page, [declared] = filters_of(Contact, ("client", kind) if kind else "client")
    assert issubclass(declared[1], AutocompleteSelectFilter)
    mine, theirs = make_row(Client, home.org), make_row(Client, abroad.org)
    with org_scope(home.org):
        choice = next(build(page, declared, home).choices(None))["form"].fields["client__id__exact"]
        assert mine in choice.queryset
        assert theirs not in choice.queryset


def test_a_filter_by_a_plain_field_stays_as_it_is(home):
    _page, declared = filters_of(Contact, "is_active", ("title", admin.AllValuesFieldListFilter))
    assert declared == ["is_active", ("title", admin.AllValuesFieldListFilter)]
