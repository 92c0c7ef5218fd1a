"""One organisation with people of every role, as for the pipeline."""

from __future__ import annotations

from tests.workstream.conftest import *  # noqa: F403
