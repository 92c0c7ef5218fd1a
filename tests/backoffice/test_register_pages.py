"""Pages that belong to no model: who opens them, where they stand in the menu, and that no two take one place."""

from __future__ import annotations

import pytest
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.test import RequestFactory
from django.urls import reverse

from flowledger.backoffice import navigation, pages
from flowledger.backoffice.navigation import Group, Menu
from flowledger.tenancy.actors import Actor, Origin, Role


@pytest.fixture(autouse=True)
def addresses():
    """The addresses are made once, from the pages that are registered by then; before a test registers others."""
    return reverse("admin:index")


def view(request):
    return HttpResponse("seen")


def asked_by(home, role):
    request = RequestFactory().get("/admin/")
    request.actor = None if role is None else Actor.for_membership(home.membership(role), origin=Origin.USER)
    request.user = home.people.get(role)
    return request


@pytest.mark.parametrize("role", [None, Role.VIEWER, Role.REP])
def test_a_page_is_closed_below_its_role(home, role):
    page = pages.Page("trial", "trial/", view, role=Role.MANAGER)
    assert not page.allows(asked_by(home, role))
    with pytest.raises(PermissionDenied):
        page.guarded()(asked_by(home, role))


def test_a_page_is_open_from_its_role_on(home):
    page = pages.Page("trial", "trial/", view, role=Role.MANAGER)
    for role in (Role.MANAGER, Role.ADMIN):
        assert page.guarded()(asked_by(home, role)).content == b"seen"


def test_a_page_with_a_menu_stands_there_for_whom_it_is(home, monkeypatch):
    menu = Menu(Group.WORK, icon="science", title="Trial")
    page = pages.Page("overview", "overview/", view, role=Role.MANAGER, menu=menu)
    monkeypatch.setattr(pages, "_pages", {"overview": page})

    def titles(role):
        return [entry.title for entry in navigation.entries(asked_by(home, role)).get(Group.WORK, [])]

    assert "Trial" in titles(Role.MANAGER)
    assert "Trial" not in titles(Role.REP)


def test_no_two_pages_take_one_name(monkeypatch):
    monkeypatch.setattr(pages, "_pages", {})
    pages.register_page(pages.Page("trial", "trial/", view))
    pages.register_page(pages.Page("trial", "trial/", view))
    with pytest.raises(ValueError, match="'trial' already"):
        pages.register_page(pages.Page("trial", "other/", view))


def test_the_back_office_opens_with_one_page(monkeypatch):
    monkeypatch.setattr(pages, "_landing", [])
    assert pages.landing() is None
    pages.register_landing(pages.Landing(view, title="One", icon="home"))
    with pytest.raises(ValueError, match="opens with One already"):
        pages.register_landing(pages.Landing(view, title="Two", icon="home"))
    assert pages.landing().title == "One"


def test_without_a_landing_page_the_overview_is_it(home, as_role, monkeypatch):
    monkeypatch.setattr(pages, "_landing", [])
    response = as_role(Role.VIEWER).get(reverse("admin:index"))
    assert "groups" in response.context


def test_marks_stand_in_the_header_inside_an_organisation_only(home, monkeypatch):
    mark = pages.Mark(label="Trial", icon="science", link="/admin/", number=3)
    monkeypatch.setattr(pages, "_marks", [lambda request: mark])
    assert pages.marks(asked_by(home, Role.VIEWER)) == [mark]
    assert pages.marks(asked_by(home, None)) == []
