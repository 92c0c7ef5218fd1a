"""Nothing of another organisation is reachable through any page, whoever adds the page."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client, RequestFactory
from django.urls import reverse

from flowledger.backoffice.transition_admin import TransitionAdmin
from flowledger.tenancy.actors import Role
from flowledger.tenancy.scope import system_scope
from tests.backoffice.rows import make_row, org_pages, page_id
from tests.queries import counted_queries

every_page = pytest.mark.parametrize("page", org_pages(), ids=page_id)
every_transition = pytest.mark.parametrize(
    ("page", "button"),
    [
        pytest.param(page, button, id=f"{page_id(page)}-{button.name}")
        for page in org_pages()
        if isinstance(page, TransitionAdmin)
        for button in page.transitions
    ],
)


def address(page, kind, *args):
    return reverse(f"admin:{page.opts.app_label}_{page.opts.model_name}_{kind}", args=args)


def stored(row):
    with system_scope("tests"):
        return type(row)._default_manager.filter(pk=row.pk).values().first()


class TestLists:
    @every_page
    def test_show_own_rows_only(self, page, home, abroad, admin_client):
        mine, theirs = make_row(page.model, home.org), make_row(page.model, abroad.org)
        response = admin_client.get(address(page, "changelist"))
        assert response.status_code == 200
        shown = {row.pk for row in response.context["cl"].result_list}
        assert mine.pk in shown
        assert theirs.pk not in shown
        assert {row.org_id for row in response.context["cl"].result_list} == {home.org.pk}

    @every_page
    def test_cost_the_same_for_one_row_and_for_many(self, page, home, admin_client):
        link = address(page, "changelist")
        make_row(page.model, home.org)
        admin_client.get(link)
        with counted_queries() as few:
            admin_client.get(link)
        for _ in range(4):
            make_row(page.model, home.org)
        with counted_queries() as many:
            response = admin_client.get(link)
        assert len(response.context["cl"].result_list) >= 5
        assert len(many) == len(few), "\n".join(many)

    @every_page
    def test_filters_offer_own_choices_only(self, page, home, abroad, admin_client):
        make_row(page.model, home.org)
        make_row(page.model, abroad.org)
        text = admin_client.get(address(page, "changelist")).content.decode().lower()
        assert "birch" not in text

    @every_page
    def test_search_does_not_break(self, page, home, admin_client):
        make_row(page.model, home.org)
        assert admin_client.get(address(page, "changelist"), {"q": "x' \" % \\ 1"}).status_code == 200


class TestARow:
    @every_page
    def test_of_ones_own_is_shown(self, page, home, admin_client):
        row = make_row(page.model, home.org)
        response = admin_client.get(address(page, "change", row.pk))
        assert response.status_code == 200
        assert "birch" not in response.content.decode().lower()
        assert admin_client.get(address(page, "history", row.pk)).status_code == 200

    @every_page
    def test_of_a_stranger_does_not_exist(self, page, abroad, admin_client):
        row = make_row(page.model, abroad.org)
        before = stored(row)
        nowhere = admin_client.get(address(page, "change", 2**61))
        # Deleting and posting may be closed to everybody, which says nothing about the row either.
        same_as_missing = {(nowhere.status_code, nowhere["Location"]), (403, None), (405, None)}
        for kind in ("change", "history", "delete"):
            for method in (admin_client.get, admin_client.post):
                response = method(address(page, kind, row.pk), {"post": "yes"})
                assert (response.status_code, response.get("Location")) in same_as_missing, (kind, method)
        assert stored(row) == before

    @every_page
    def test_with_an_impossible_key_does_not_exist(self, page, admin_client):
        for key in ["0", "-1", "x", "99999999999999999999999999"]:
            assert admin_client.get(address(page, "change", key)).status_code == 302

    @every_page
    def test_can_be_added_by_form_only_where_the_role_allows(self, page, home, as_role):
        for role in Role:
            allowed = page.add_role is not None and role.at_least(page.add_role)
            assert as_role(role).get(address(page, "add")).status_code == (200 if allowed else 403)

    @every_page
    def test_is_seen_where_the_role_allows(self, page, home, as_role):
        row = make_row(page.model, home.org)
        for role in Role:
            expected = 200 if role.at_least(page.view_role) else 403
            client = as_role(role)
            assert client.get(address(page, "changelist")).status_code == expected
            assert client.get(address(page, "change", row.pk)).status_code == expected

    @every_page
    def test_takes_nothing_from_a_viewer(self, page, home, as_role):
        row = make_row(page.model, home.org)
        before = stored(row)
        with system_scope("tests"):
            count = page.model._default_manager.count()
        client = as_role(Role.VIEWER)
        for kind, arguments in (("add", []), ("change", [row.pk]), ("delete", [row.pk])):
            assert client.post(address(page, kind, *arguments), {"post": "yes"}).status_code == 403, kind
        with system_scope("tests"):
            assert page.model._default_manager.count() == count
        assert stored(row) == before
        assert not LogEntry.objects.exists()


class TestATransition:
    @every_transition
    def test_of_a_strangers_row_does_not_exist(self, page, button, abroad, admin_client):
        row = make_row(page.model, abroad.org)
        before = stored(row)
        link = address(page, "transition", row.pk, button.name)
        assert admin_client.post(link).status_code == 404
        assert admin_client.get(link).status_code == 404
        assert stored(row) == before

    @every_transition
    def test_needs_a_csrf_token(self, page, button, home):
        row = make_row(page.model, home.org)
        before = stored(row)
        client = Client(enforce_csrf_checks=True)
        client.force_login(home.people[Role.ADMIN])
        assert client.post(address(page, "transition", row.pk, button.name)).status_code == 403
        assert stored(row) == before

    @every_transition
    def test_by_get_does_nothing(self, page, button, home, admin_client):
        row = make_row(page.model, home.org)
        before = stored(row)
        response = admin_client.get(address(page, "transition", row.pk, button.name))
        assert response.status_code == (200 if button.form else 405)
        assert stored(row) == before

    @every_transition
    def test_is_refused_to_a_viewer(self, page, button, home, as_role):
        row = make_row(page.model, home.org)
        before = stored(row)
        client = as_role(Role.VIEWER)
        link = address(page, "transition", row.pk, button.name)
        for method in (client.get, client.post):
            assert method(link).status_code in {302, 404, 405}
        assert stored(row) == before

    @every_page
    def test_that_nobody_declared_does_not_exist(self, page, home, admin_client):
        row = make_row(page.model, home.org)
        link = address(page, "change", row.pk).removesuffix("change/") + "transition/fly/"
        response = admin_client.post(link)
        assert response.status_code == (404 if isinstance(page, TransitionAdmin) else 302)


class TestAutocomplete:
    @every_page
    def test_offers_own_rows_only(self, page, home, abroad, admin_client):
        """For every reference of every page that is offered by search."""
        request = RequestFactory().get("/")
        row = make_row(page.model, home.org)
        for name in page.get_autocomplete_fields(request):
            target = page.model._meta.get_field(name).related_model
            mine, theirs = make_row(target, home.org), make_row(target, abroad.org)
            response = admin_client.get(
                reverse("admin:autocomplete"),
                {"app_label": page.opts.app_label, "model_name": page.opts.model_name, "field_name": name},
            )
            found = {int(each["id"]) for each in response.json()["results"]}
            assert mine.pk in found
            assert theirs.pk not in found
        assert stored(row) is not None
