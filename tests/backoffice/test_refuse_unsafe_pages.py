"""System checks: a page that would not scope, or a button that nothing stands behind, stops the start."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.core.checks import run_checks

from flowledger.backoffice.forms import OrgModelForm
from flowledger.backoffice.org_admin import OrgAdmin
from flowledger.backoffice.transition_admin import TransitionAdmin, TransitionButton
from flowledger.tenancy.models import ApiKey, Membership, User

BUTTON = TransitionButton("revoke", service=print, label="Revoke", verb="manage_api_keys")


def ids(page):
    return {found.id for found in page.check()}


def page_with(base=OrgAdmin, model=ApiKey, **attributes):
    return type("Page", (base,), attributes)(model, admin.site)


def test_the_pages_that_exist_are_sound():
    assert [found for found in run_checks() if found.id.startswith(("backoffice.", "admin."))] == []


def test_a_tenant_model_behind_an_ordinary_page(monkeypatch):
    page = admin.ModelAdmin(ApiKey, admin.site)
    monkeypatch.setitem(admin.site._registry, ApiKey, page)
    assert "backoffice.E001" in {found.id for found in run_checks()}


class PlainInline(admin.TabularInline):
    model = Membership


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (page_with(), set()),
        (page_with(model=User), {"backoffice.E002"}),
        (page_with(inlines=[PlainInline], model=ApiKey), {"backoffice.E004"}),
        (page_with(list_display=["pk", "name"], list_editable=["name"]), {"backoffice.E005"}),
        (page_with(TransitionAdmin, transitions=[BUTTON]), set()),
        (page_with(TransitionAdmin, transitions=[BUTTON, BUTTON]), {"backoffice.E006"}),
        (
            page_with(TransitionAdmin, transitions=[TransitionButton("x", service=print, label="X", verb="fly")]),
            {"backoffice.E007"},
        ),
        (
            page_with(
                TransitionAdmin,
                transitions=[TransitionButton("x", service=print, label="X", verb="view", method="text_for")],
            ),
            {"backoffice.E008"},
        ),
    ],
)
def test_unsafe_declarations(page, expected):
    assert {found for found in ids(page) if found.startswith("backoffice.")} == expected


def test_a_form_that_knows_no_versions():
    from django.forms import ModelForm

    assert "backoffice.E003" in ids(page_with(form=ModelForm))
    assert "backoffice.E003" not in ids(page_with(form=type("Form", (OrgModelForm,), {})))
