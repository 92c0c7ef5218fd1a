"""Counting what an endpoint asks the database, without what every request costs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection
from django.test.utils import CaptureQueriesContext

# Transaction control, entering and leaving scopes, the look-up of the credential, and the stamp of the configuration,
# which a process looks at once a second however many requests there are.
OF_EVERY_REQUEST = re.compile(
    r"^(BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE)\b"
    r"|^SELECT set_config\("
    r"|^SELECT coalesce\(\(SELECT version FROM configuration_configstamp "
    r'|^SELECT .* FROM "tenancy_(membership|apikey)" .* INNER JOIN "tenancy_organization" ',
    re.DOTALL,
)


@contextmanager
def counted_queries() -> Iterator[list[str]]:
    """The statements that ran inside, counted after authentication and scope; filled when the block ends."""
    statements: list[str] = []
    with CaptureQueriesContext(connection) as captured:
        yield statements
    statements += [query["sql"] for query in captured.captured_queries if not OF_EVERY_REQUEST.match(query["sql"])]
