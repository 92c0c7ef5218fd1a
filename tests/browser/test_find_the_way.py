"""Logging in, the overview, the menu, another organisation, both themes and a phone."""

from __future__ import annotations

import re

import pytest
from django.contrib import admin
from playwright.sync_api import expect

from flowledger.clients.models import Contact
from flowledger.tenancy.actors import Role
from tests.factories import ClientFactory, ContactFactory


def test_log_in_see_the_overview_and_switch_the_organization(page, home, abroad, join, log_in):
    person = home.people[Role.ADMIN]
    join(abroad, person)
    log_in(page, person)

    expect(page).to_have_url(re.compile("/admin/organisations/$"))
    page.get_by_role("button", name="Alder").click()
    expect(page).to_have_url(re.compile("/admin/$"))
    expect(page.get_by_role("heading", name="Set-up").last).to_be_visible()
    expect(page.locator("#nav-sidebar")).to_contain_text("Alder")

    page.get_by_role("button", name=person.username).press("Enter")
    page.get_by_role("link", name="Switch organisation").click()
    page.get_by_role("button", name="Birch").click()
    expect(page.locator("#nav-sidebar")).to_contain_text("Birch")

    page.get_by_role("button", name=person.username).press("Enter")
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/admin/logout/")
    page.goto("/admin/")
    expect(page.get_by_label("Username")).to_be_visible()


def test_a_wrong_password_says_so(page, home):
    page.goto("/admin/")
    page.get_by_label("Username").fill(home.people[Role.REP].username)
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_text("Please enter the correct username and password")).to_be_visible()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_page_of_the_menu_opens_without_errors(open_page, home, log_in, dark):
    page = open_page(dark=dark)
    log_in(page, home.people[Role.ADMIN])
    links = page.locator("#nav-sidebar-apps a").evaluate_all("all => all.map(each => each.getAttribute('href'))")
    assert len(links) >= 5
    for link in links:
        page.goto(link)
        expect(page.locator("#content")).to_be_visible()
        expect(page.locator("html")).to_have_class(re.compile(r"\bdark\b") if dark else re.compile(r"^(?!.*\bdark\b)"))


def test_the_menu_finds_a_page_by_name(page, home, log_in):
    log_in(page, home.people[Role.ADMIN])
    page.get_by_label("Filter navigation items").press_sequentially("api k")
    page.locator("#search-results").get_by_role("link", name=re.compile("API keys", re.IGNORECASE)).click()
    expect(page).to_have_url(re.compile("/tenancy/apikey/$"))


def test_an_api_key_is_issued_and_revoked_by_hand(page, home, log_in):
    log_in(page, home.people[Role.ADMIN])
    page.goto("/admin/tenancy/apikey/add/")
    page.get_by_label("Name").fill("Website forms")
    page.get_by_label("signals:write").check()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_label("The key")).to_have_value(re.compile(r"^fl_\d+_\d+_"))
    page.get_by_role("link", name="Done").click()
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("The key opens nothing any more.")).to_be_visible()
    expect(page.get_by_role("button", name="Revoke")).to_have_count(0)


def test_a_member_is_added_and_their_role_changed(page, home, log_in):
    log_in(page, home.people[Role.ADMIN])
    page.goto("/admin/tenancy/membership/add/")
    page.get_by_label("Email").fill("new@example.org")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("link", name="new@example.org").first.click()
    page.get_by_label("Role").select_option("manager")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("was changed successfully")).to_be_visible()


@pytest.mark.parametrize("path", ["/admin/", "/admin/organisations/", "/admin/tenancy/membership/"])
def test_nothing_is_wider_than_a_phone(open_page, home, log_in, path):
    page = open_page(width=390, height=844)
    log_in(page, home.people[Role.ADMIN])
    page.goto(path)
    widths = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert widths[0] <= widths[1]


def test_a_list_is_filtered_by_a_reference_that_is_searched(page, home, abroad, log_in, monkeypatch):
    monkeypatch.setattr(admin.site._registry[Contact], "list_filter", ["client"])
    mine = ContactFactory(org=home.org, name="Ann Moss", client=ClientFactory(org=home.org, name="Northwind Traders"))
    other = ContactFactory(org=home.org, name="Bea Reed", client=ClientFactory(org=home.org, name="Southwind Traders"))
    ClientFactory(org=abroad.org, name="Northwind Abroad")
    log_in(page, home.people[Role.ADMIN])
    page.goto("/admin/clients/contact/")
    page.get_by_role("link", name=other.name).wait_for()
    page.get_by_text(re.compile(r"^\s*Filters")).first.click()
    page.locator(".select2-selection").first.click()
    page.locator(".select2-search__field").fill("northwind")
    options = page.locator(".select2-results__option:not(.loading-results)")
    expect(options).to_have_text(["Northwind Traders"])
    options.first.click()
    page.get_by_role("button", name="Apply Filters").click()
    expect(page.get_by_role("link", name=mine.name)).to_be_visible()
    expect(page.get_by_role("link", name=other.name)).to_have_count(0)
