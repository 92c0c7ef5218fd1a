"""The raw SQL of delivery: set-based, fenced by the claim's token, timed by the database's clock only.

Every statement runs inside a scope; what changes tables is in `partitions` and `retention`. `statement_timestamp()`
rather than `now()`: it moves on inside a long transaction.
"""

from flowledger.outbox.sql.delivery import (
    ClaimedEvent,
    Failure,
    Taken,
    Waiting,
    claim_crashed,
    claim_fresh,
    claim_waiting,
    crash,
    depth_and_age,
    fail,
    finish,
    give_back,
    give_back_expired,
    holds,
    keep_failures,
    look,
    renew_event_lease,
    take,
)
from flowledger.outbox.sql.emails import (
    claim_emails,
    email_failed,
    email_sent,
    give_back_emails,
    give_back_expired_emails,
    renew_email_lease,
)
from flowledger.outbox.sql.recording import (
    NewEvent,
    insert_events,
)

__all__ = [
    "ClaimedEvent",
    "Failure",
    "NewEvent",
    "Taken",
    "Waiting",
    "claim_crashed",
    "claim_emails",
    "claim_fresh",
    "claim_waiting",
    "crash",
    "depth_and_age",
    "email_failed",
    "email_sent",
    "fail",
    "finish",
    "give_back",
    "give_back_emails",
    "give_back_expired",
    "give_back_expired_emails",
    "holds",
    "insert_events",
    "keep_failures",
    "look",
    "renew_email_lease",
    "renew_event_lease",
    "take",
]
