"""The router of every app's API: no trailing slashes, identifiers through the kernel's converter."""

from __future__ import annotations

from rest_framework.routers import SimpleRouter

from flowledger.api import converters  # noqa: F401  (the paths below use it)


class OrgRouter(SimpleRouter):
    """A SimpleRouter that writes `candidates/<id:pk>/promote`; extra actions use path syntax in `url_path`."""

    def __init__(self) -> None:
        super().__init__(trailing_slash=False, use_regex_path=False)
