"""Pages over the apps below the back office: members, users and API keys (tenancy), events and emails (outbox).

They stand here because tenancy and the outbox may not import the back office.
"""

from flowledger.backoffice.admin import api_keys, members, outbox, users

__all__ = ["api_keys", "members", "outbox", "users"]
