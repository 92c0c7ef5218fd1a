"""SQL that servers of every supported version understand: PostgreSQL 15 and later, though tests run on the newest."""

from __future__ import annotations

import re

from tests.architecture.source import CHECKOUT, PACKAGES

# `RETURNING old.…` and `new.…` came with PostgreSQL 18.
NEWER = re.compile(r"\bRETURNING\b[^;\")]*?\b(?:old|new)\.\w", re.S)


def test_no_statement_asks_for_rows_as_they_were_before():
    texts = {
        path.relative_to(CHECKOUT): path.read_text()
        for package in PACKAGES
        for suffix in ("py", "sql")
        for path in sorted((CHECKOUT / package).rglob(f"*.{suffix}"))
    }
    assert len(texts) > 300
    assert [str(name) for name, text in texts.items() if NEWER.search(text)] == []
    assert NEWER.search('"UPDATE t SET a = 1\n RETURNING t.id, old.a"')
