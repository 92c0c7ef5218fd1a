"""One function per use case of the pipeline."""

from workstream.services.activities import cancel_task, complete_task, create_task, link_item, log_activity
from workstream.services.bulk import move_candidates, move_pursuits
from workstream.services.calendars import create_calendar, delete_calendar, preview_deadline, update_calendar
from workstream.services.candidates import (
    archive_candidate,
    create_candidate,
    hold_candidate,
    nurture_candidate,
    promote_candidate,
    resume_candidate,
    triage_candidate,
    update_candidate,
)
from workstream.services.checklists import (
    add_checklist_item,
    publish_checklist_template,
    update_checklist_item,
    waive_checklist_item,
)
from workstream.services.engagements import open_engagement
from workstream.services.notifications import (
    mark_all_notifications_read,
    mark_notification_read,
    set_notification_preferences,
)
from workstream.services.proposals import (
    create_proposal,
    ensure_first_proposal,
    publish_proposal_template,
    send_newest_draft,
    send_proposal,
    sign_proposal,
    update_proposal,
    void_proposal,
)
from workstream.services.pursuits import (
    lose_pursuit,
    move_pursuit,
    record_cost,
    submit_pursuit,
    update_pursuit,
    win_pursuit,
)
from workstream.services.signals import ReceivedSignal, create_signal, link_signal, reject_signal, update_signal
from workstream.services.sla import (
    create_rule,
    deactivate_rule,
    ensure_default_rules,
    recompute_calendar,
    recompute_clocks,
    update_rule,
)
from workstream.services.sla_preview import preview_rule
from workstream.services.sla_touch import recompute_touch_clocks
from workstream.services.taxonomy import save_problem, save_solution, save_tag
from workstream.services.today import end_snoozes, snooze_item

__all__ = [
    "ReceivedSignal",
    "add_checklist_item",
    "archive_candidate",
    "cancel_task",
    "complete_task",
    "create_calendar",
    "create_candidate",
    "create_proposal",
    "create_rule",
    "create_signal",
    "create_task",
    "deactivate_rule",
    "delete_calendar",
    "end_snoozes",
    "ensure_default_rules",
    "ensure_first_proposal",
    "hold_candidate",
    "link_item",
    "link_signal",
    "log_activity",
    "lose_pursuit",
    "mark_all_notifications_read",
    "mark_notification_read",
    "move_candidates",
    "move_pursuit",
    "move_pursuits",
    "nurture_candidate",
    "open_engagement",
    "preview_deadline",
    "preview_rule",
    "promote_candidate",
    "publish_checklist_template",
    "publish_proposal_template",
    "recompute_calendar",
    "recompute_clocks",
    "recompute_touch_clocks",
    "record_cost",
    "reject_signal",
    "resume_candidate",
    "save_problem",
    "save_solution",
    "save_tag",
    "send_newest_draft",
    "send_proposal",
    "set_notification_preferences",
    "sign_proposal",
    "snooze_item",
    "submit_pursuit",
    "triage_candidate",
    "update_calendar",
    "update_candidate",
    "update_checklist_item",
    "update_proposal",
    "update_pursuit",
    "update_rule",
    "update_signal",
    "void_proposal",
    "waive_checklist_item",
    "win_pursuit",
]
