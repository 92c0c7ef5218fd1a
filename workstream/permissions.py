"""The verbs of the pipeline and the weakest role that may use each (pipeline.md, Tenancy)."""

from flowledger.tenancy.actors import Role
from flowledger.tenancy.permissions import register_verbs

register_verbs(
    {
        "create_signal": Role.REP,
        "link_signal": Role.REP,
        "reject_signal": Role.REP,
        "edit_signal": Role.REP,
        "fix_reject": Role.REP,
        "replay_reject": Role.REP,
        "discard_reject": Role.REP,
        "create_candidate": Role.REP,
        "edit_candidate": Role.REP,
        "triage": Role.REP,
        "nurture": Role.REP,
        "hold": Role.REP,
        "archive": Role.REP,
        "promote": Role.REP,
        "edit_pursuit": Role.REP,
        "move": Role.REP,
        "submit": Role.REP,
        "close": Role.REP,
        "complete_checklist": Role.REP,
        "waive": Role.MANAGER,
        "write_proposal": Role.REP,
        "log_activity": Role.REP,
        "edit_task": Role.REP,
        "link_item": Role.REP,
        "record_cost": Role.REP,
        "edit_taxonomy": Role.MANAGER,
        "edit_templates": Role.MANAGER,
        "edit_sla": Role.MANAGER,
        "edit_sources": Role.MANAGER,
        "import_history": Role.ADMIN,
        "import_records": Role.MANAGER,
        "snooze": Role.REP,
        "cluster_signals": Role.REP,
        "set_icp": Role.REP,
    }
)
