"""Pages over the apps below: members, users, API keys (tenancy), events and emails (outbox), rules (configuration).

They stand here because tenancy and the outbox may not import the back office.
"""

from flowledger.backoffice.admin import api_keys, configuration, members, outbox, users

__all__ = ["api_keys", "configuration", "members", "outbox", "users"]
