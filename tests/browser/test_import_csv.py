"""A CSV import in a browser: upload, columns, live preview, progress bar, result, one-click undo, on a phone too."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.utils.timezone import now
from playwright.sync_api import expect

from flowledger.tenancy.actors import Role
from flowledger.tenancy.scope import org_scope
from workstream.models import ImportRun, Signal
from workstream.services.import_rows import Progress, import_chunk
from workstream.services.import_undo import undo_chunk

if TYPE_CHECKING:
    from playwright.sync_api import Page

HEADINGS = "Name;E-Mail;Firma;Nachricht;Region\r\n"
ROW = "Jörg Müller {n};joerg{n}@c{n}.example;Café Größe {n};Bitte um Rückruf {n};Nord\r\n"


@pytest.fixture(autouse=True)
def no_wake(settings: Any) -> None:
    """The test works by itself, between its steps."""
    settings.OUTBOX_WAKE = False


def a_file(tmp_path: Path, rows: int) -> Path:
    """As a German spreadsheet writes it, with a row that is too long."""
    path = tmp_path / "Anfragen.csv"
    text = HEADINGS + "".join(ROW.format(n=n) for n in range(rows - 1))
    path.write_bytes((text + f"Zu lang;;;{'x' * 1001};\r\n").encode("cp1252"))
    return path


def only_run(home: Any) -> ImportRun:
    with org_scope(home.org):
        found: ImportRun = ImportRun.objects.for_org(home.org).get()
        return found


def too_wide(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > window.innerWidth"))


def test_an_import_and_its_undo(page: Page, home: Any, log_in: Callable[..., None], tmp_path: Path) -> None:
    log_in(page, home.people[Role.MANAGER])
    page.get_by_role("link", name=re.compile(r"\bImports$")).click()
    page.get_by_role("link", name="Import a file").click()
    page.get_by_label("File", exact=True).set_input_files(a_file(tmp_path, 700))
    page.get_by_role("button", name="Upload").click()

    # The columns are recognised, and the preview shows what each of the first rows would do.
    expect(page.locator("#file-facts")).to_contain_text("700 rows of signals, read as cp1252")
    expect(page.get_by_label("E-Mail", exact=True)).to_have_value("contact_email")
    expect(page.get_by_label("Nachricht", exact=True)).to_have_value("snippet")
    first = page.locator("#preview [data-row='1']")
    expect(first).to_contain_text("Creates the contact Jörg Müller 0.")
    page.get_by_label("Name", exact=True).select_option("")
    expect(first).to_contain_text("Creates the contact joerg0@c0.example.")
    page.get_by_label("Name", exact=True).select_option("contact_name")
    page.get_by_label("Region", exact=True).select_option("attributes.Region")
    expect(first).to_contain_text("Jörg Müller 0")
    with org_scope(home.org):
        assert not Signal.objects.for_org(home.org).exists()

    # The bar moves by itself, without the page being loaded again.
    page.get_by_role("button", name="Start the import").click()
    expect(page.get_by_role("status").filter(has_text="0 of 700 rows")).to_be_visible()
    page.evaluate("window.untouched = true")
    run = only_run(home)
    assert import_chunk(org=home.org, run_id=run.pk, at=now()) is Progress.MORE
    expect(page.get_by_role("status").filter(has_text="500 of 700 rows, 71 %")).to_be_visible()
    expect(page.get_by_role("progressbar")).to_have_attribute("value", "500")
    assert import_chunk(org=home.org, run_id=run.pk, at=now()) is Progress.DONE
    expect(page.locator("#import")).to_have_attribute("data-status", "done")
    assert page.evaluate("window.untouched") is True
    expect(page.locator("#import-created")).to_have_text("699")
    expect(page.locator("[data-rejected='700']")).to_contain_text("no more than 1000 characters")
    with page.expect_download() as download:
        page.get_by_role("link", name="Rejected rows as a file").click()
    assert "Zu lang" in download.value.path().read_text(encoding="utf-8-sig")

    # One click takes it back.
    with org_scope(home.org):
        assert Signal.objects.for_org(home.org).order_by("pk")[0].attributes == {"Region": "Nord"}
    page.get_by_role("button", name="Undo the import").click()
    expect(page.get_by_role("status").filter(has_text="records taken back")).to_be_visible()
    while undo_chunk(org=home.org, run_id=run.pk, at=now()) is Progress.MORE:
        pass
    expect(page.locator("#import")).to_have_attribute("data-status", "undone")
    expect(page.get_by_text("Everything is as it was before.")).to_be_visible()
    with org_scope(home.org):
        assert not Signal.objects.for_org(home.org).exists()


@pytest.mark.parametrize("dark", [False, True])
def test_the_pages_fit_a_phone(
    open_page: Callable[..., Page], home: Any, log_in: Callable[..., None], tmp_path: Path, dark: bool
) -> None:
    page = open_page(width=390, dark=dark)
    log_in(page, home.people[Role.MANAGER])
    page.goto("/admin/imports/new/")
    assert not too_wide(page)
    page.get_by_label("File", exact=True).set_input_files(a_file(tmp_path, 5))
    page.get_by_role("button", name="Upload").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#preview [data-row='1']")).to_contain_text("Creates")
    assert not too_wide(page)
    page.get_by_role("button", name="Discard").click()
    expect(page.locator("#import")).to_have_attribute("data-status", "cancelled")
    assert not too_wide(page)
    page.get_by_role("link", name="All imports").click()
    expect(page.get_by_role("link", name=re.compile("Anfragen"))).to_be_visible()
    assert not too_wide(page)
