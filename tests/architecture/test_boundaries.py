"""What only few may do: cross organisations, read the clock, reach outside, swallow an exception."""

from __future__ import annotations

import ast

from tests.architecture.source import INTERFACE_APPS, Module, dotted, modules, nodes, place, rooms

# Files that may name `all_orgs`, and why. `.none()` and the definition on a model are free.
CROSSINGS = {
    "flowledger/tenancy/services.py": "log-in lists the organisations of one person",
    "flowledger/outbox/querysets.py": "a sub-query that compares org_id with the outer row",
    "flowledger/outbox/emails.py": "sweep: claim outgoing emails",
    "memory/tasks.py": "sweep: find new atoms without a vector, and organisations with a memory",
    "spotlight/tasks.py": "sweep: find organisations with profiles",
    "workstream/management/commands/sla.py": "finds the item and the rules that the command line names",
    "workstream/services/notification_emails.py": "sweep: find people with notifications due by email",
    "workstream/tasks.py": "sweep: find held candidates whose resume time has come",
}
# Sweeps and doors that open a system scope, and why.
SYSTEM_SCOPES = {
    "flowledger/tenancy/services.py": "founding an organisation; a person's organisations",
    "flowledger/api/tasks.py": "purges of idempotency records and token families",
    "flowledger/backoffice/organizations.py": "a superuser chooses an organisation",
    "flowledger/configuration/announcing.py": "planned values whose time has come, and their events",
    "flowledger/outbox/drain.py": "the claim and the end of events",
    "flowledger/outbox/emails.py": "the claim and the record of outgoing emails",
    "flowledger/outbox/exposition.py": "metrics of the whole installation",
    "flowledger/outbox/health.py": "depth and age of the outbox",
    "flowledger/outbox/leases.py": "lease renewal of emails",
    "flowledger/outbox/management/commands/outbox.py": "finds the organisation that the command line names",
    "flowledger/outbox/operations.py": "an operator's look, retry and replay across organisations",
    "flowledger/outbox/partitions.py": "months that have events in the open partition",
    "flowledger/outbox/watch.py": "lease renewal, and the end of a handler that cannot be interrupted",
    "flowledger/outbox/retention.py": "archives whole months, then drops them",
    "memory/rewriting.py": "redactions whose files are to be rewritten",
    "memory/tasks.py": "atoms that are due or want a vector; changed rules of kinds; cards to build; texts for a model",
    "spotlight/tasks.py": "organisations with watched profiles; re-scores to work on; overrides whose time is over",
    "workstream/demo/organization.py": "finds the demo organisation by its mark",
    "workstream/management/commands/clusters.py": "finds the organisations to go through",
    "workstream/management/commands/import_history.py": "finds the organisation that the command line names",
    "workstream/management/commands/sla.py": "finds the item and the rules that the command line names",
    "workstream/services/notification_emails.py": "finds people with notifications due by email",
    "workstream/services/sla_sweep.py": "SLA clocks that are due, and their events",
    "workstream/tasks.py": "held candidates to resume",
}
# Where anything may be raised, and is answered or recorded.
CATCH_ALL = {
    "flowledger/api/base.py": "the API's door",
    "flowledger/outbox/consumer.py": "Celery's clean-up of a broken connection trips in many ways",
    "flowledger/outbox/delivering.py": "a handler may fail in any way",
    "flowledger/outbox/emails.py": "any email backend may stand behind Django's interface",
}
CLOCKS = {"now", "utcnow", "today", "time.time", "localtime", "localdate"}
OUTSIDE = {"requests", "httpx", "urllib.request", "http.client", "smtplib", "socket", "aiohttp", "urllib3"}


def test_only_named_places_cross_organisations():
    found = {
        module.name
        for module, node in nodes(ast.Attribute, modules())
        if node.attr == "all_orgs" and not _is_empty(module, node)
    }

    assert found - set(CROSSINGS) == set()
    assert set(CROSSINGS) - found == set(), "a crossing that is gone stays no exception"


def test_only_named_places_open_a_system_scope():
    found = {
        module.name
        for module, node in nodes(ast.Call, modules())
        if dotted(node.func).rsplit(".", 1)[-1] == "system_scope"
    }

    assert found == set(SYSTEM_SCOPES)


def test_only_interfaces_read_the_clock():
    below = [module for module in modules() if not module.is_interface and module.room not in {"celery", "logs"}]
    found = [
        place(module, node)
        for module, node in nodes(ast.Call, below)
        if (name := dotted(node.func)) in CLOCKS or name.rsplit(".", 1)[-1] in CLOCKS - {"time.time"}
    ]

    assert found == []


def test_only_the_wake_up_sends_celery_tasks():
    """A task sent inside a transaction may run before its commit, or without it."""
    found = {
        module.name
        for module, node in nodes(ast.Call, modules())
        if isinstance(node.func, ast.Attribute) and node.func.attr in {"delay", "apply_async", "send_task"}
    }

    # The consumer sends its own ticks from the event loop of a worker, where no transaction is.
    assert found == {"flowledger/outbox/wake.py", "flowledger/outbox/consumer.py"}


def test_services_models_and_handlers_do_not_reach_outside():
    found = []
    for module, node in nodes((ast.Import, ast.ImportFrom), rooms("services", "models", "handlers", "querysets")):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        found += [place(module, node) for name in names if name in OUTSIDE]

    assert found == []


def test_only_named_places_swallow_any_exception():
    found = {
        module.name
        for module, node in nodes(ast.ExceptHandler, modules())
        if (node.type is None or _names(node.type) & {"Exception", "BaseException"})
        and not isinstance(node.body[-1], ast.Raise)
    }

    assert found == set(CATCH_ALL)


def test_signals_of_our_own_models_are_not_used():
    found = [
        place(module, node)
        for module, node in nodes(ast.ImportFrom, modules())
        if (node.module or "").startswith("django.db.models.signals")
    ]

    assert found == []


def test_interface_apps_exist():
    apps = {module.app for module in modules()}

    assert apps >= INTERFACE_APPS


def _names(caught: ast.expr) -> set[str]:
    """The exceptions of an except clause."""
    return {dotted(each) for each in (caught.elts if isinstance(caught, ast.Tuple) else [caught])}


def _is_empty(module: Module, node: ast.Attribute) -> bool:
    """`Model.all_orgs.none()` reads nothing."""
    return any(
        isinstance(parent, ast.Attribute) and parent.value is node and parent.attr == "none"
        for _, parent in nodes(ast.Attribute, [module])
    )
