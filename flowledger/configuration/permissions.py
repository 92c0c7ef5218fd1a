"""The verb of configuration and the weakest role that may use it."""

from flowledger.tenancy.actors import Role
from flowledger.tenancy.permissions import register_verbs

register_verbs({"configure": Role.ADMIN})
