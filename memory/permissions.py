"""The verbs of memory and the weakest role that may use each (pipeline.md, Tenancy)."""

from flowledger.tenancy.actors import Role
from flowledger.tenancy.permissions import register_verbs

register_verbs(
    {
        "capture_memory": Role.REP,
        "write_atom": Role.REP,
        "correct_atom": Role.REP,
        "pin_atom": Role.REP,
        "resolve_atom_conflict": Role.REP,
        "archive_atom": Role.MANAGER,
        "redact_memory": Role.MANAGER,
        "see_memory_of_managers": Role.MANAGER,
        "audit_memory": Role.ADMIN,
        "hold_memory": Role.ADMIN,
        "erase_person": Role.ADMIN,
        "export_person": Role.ADMIN,
    }
)
