"""PostgreSQL and Redis from wheels: real servers for development and tests, with nothing installed.

Importing this package is cheap and pulls in neither Django nor the wheels; the settings call `environment()`.
"""

from flowledger.embedded.errors import AlreadyRunning, EmbeddedServerError
from flowledger.embedded.places import data_directory
from flowledger.embedded.state import NOT_RUNNING, discover, environment

__all__ = [
    "NOT_RUNNING",
    "AlreadyRunning",
    "EmbeddedServerError",
    "data_directory",
    "discover",
    "environment",
]
