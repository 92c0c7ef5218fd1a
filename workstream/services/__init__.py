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
from workstream.services.cluster_links import link_cluster
from workstream.services.clusters import cluster_older_signals, cluster_signals
from workstream.services.customer_fit import set_icp
from workstream.services.engagements import open_engagement
from workstream.services.imports import (
    cancel_import,
    change_import,
    create_import,
    preview_import,
    start_import,
    undo_import,
)
from workstream.services.mail import receive_mail
from workstream.services.mailboxes import poll_soon
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
from workstream.services.receiving import Incoming, Outcome, receive_signals
from workstream.services.rejects import discard_reject, fix_reject, keep_reject, replay_reject, replay_rejects
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
from workstream.services.source_previews import preview_source
from workstream.services.sources import create_source, delete_source, rotate_secret, update_source
from workstream.services.taxonomy import save_problem, save_solution, save_tag
from workstream.services.today import end_snoozes, snooze_item
from workstream.services.web_forms import awaits_click, confirm_submission, submit_form
from workstream.services.webhooks import receive_webhook

__all__ = [
    "Incoming",
    "Outcome",
    "ReceivedSignal",
    "add_checklist_item",
    "archive_candidate",
    "awaits_click",
    "cancel_import",
    "cancel_task",
    "change_import",
    "cluster_older_signals",
    "cluster_signals",
    "complete_task",
    "confirm_submission",
    "create_calendar",
    "create_candidate",
    "create_import",
    "create_proposal",
    "create_rule",
    "create_signal",
    "create_source",
    "create_task",
    "deactivate_rule",
    "delete_calendar",
    "delete_source",
    "discard_reject",
    "end_snoozes",
    "ensure_default_rules",
    "ensure_first_proposal",
    "fix_reject",
    "hold_candidate",
    "keep_reject",
    "link_cluster",
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
    "poll_soon",
    "preview_deadline",
    "preview_import",
    "preview_rule",
    "preview_source",
    "promote_candidate",
    "publish_checklist_template",
    "publish_proposal_template",
    "receive_mail",
    "receive_signals",
    "receive_webhook",
    "recompute_calendar",
    "recompute_clocks",
    "recompute_touch_clocks",
    "record_cost",
    "reject_signal",
    "replay_reject",
    "replay_rejects",
    "resume_candidate",
    "rotate_secret",
    "save_problem",
    "save_solution",
    "save_tag",
    "send_newest_draft",
    "send_proposal",
    "set_icp",
    "set_notification_preferences",
    "sign_proposal",
    "snooze_item",
    "start_import",
    "submit_form",
    "submit_pursuit",
    "triage_candidate",
    "undo_import",
    "update_calendar",
    "update_candidate",
    "update_checklist_item",
    "update_proposal",
    "update_pursuit",
    "update_rule",
    "update_signal",
    "update_source",
    "void_proposal",
    "waive_checklist_item",
    "win_pursuit",
]
