"""One function per use case of the pipeline."""

from workstream.services.activities import cancel_task, complete_task, create_task, link_item, log_activity
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
from workstream.services.taxonomy import save_problem, save_solution, save_tag

__all__ = [
    "ReceivedSignal",
    "add_checklist_item",
    "archive_candidate",
    "cancel_task",
    "complete_task",
    "create_candidate",
    "create_proposal",
    "create_signal",
    "create_task",
    "ensure_first_proposal",
    "hold_candidate",
    "link_item",
    "link_signal",
    "log_activity",
    "lose_pursuit",
    "move_pursuit",
    "nurture_candidate",
    "open_engagement",
    "promote_candidate",
    "publish_checklist_template",
    "publish_proposal_template",
    "record_cost",
    "reject_signal",
    "resume_candidate",
    "save_problem",
    "save_solution",
    "save_tag",
    "send_newest_draft",
    "send_proposal",
    "sign_proposal",
    "submit_pursuit",
    "triage_candidate",
    "update_candidate",
    "update_checklist_item",
    "update_proposal",
    "update_pursuit",
    "update_signal",
    "void_proposal",
    "waive_checklist_item",
    "win_pursuit",
]
