"""Pages of no model, registered by the apps above: the landing page, pages of the menu, marks in the header."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from flowledger.backoffice.requests import actor_if_any
from flowledger.tenancy.actors import Role

if TYPE_CHECKING:
    from flowledger.backoffice.navigation import Menu

View = Callable[..., HttpResponseBase]


@dataclass(frozen=True)
class Page:
    """An address below the site's root, called `admin:<name>`, for members whose role reaches `role`.

    With a `menu` it stands in the menu, with the menu's title.
    """

    name: str
    route: str
    view: View
    role: Role = Role.VIEWER
    menu: Menu | None = None

    def allows(self, request: HttpRequest) -> bool:
        """Whether the person behind the request may open it."""
        actor = actor_if_any(request)
        return actor is not None and actor.role.at_least(self.role)

    def guarded(self) -> View:
        """The view behind the role. The site adds what it asks of every page."""

        @wraps(self.view)
        def view(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not self.allows(request):
                raise PermissionDenied(f"This page needs the role {self.role.value}.")
            return self.view(request, *args, **kwargs)

        return view


@dataclass(frozen=True)
class Landing:
    """What the back office opens with, in place of the overview of all pages."""

    view: View
    title: str
    icon: str


@dataclass(frozen=True)
class Mark:
    """A sign in the header of every page; a `number` above nought stands beside it."""

    label: str
    icon: str
    link: str
    number: int = 0


_pages: dict[str, Page] = {}
_landing: list[Landing] = []
_marks: list[Callable[[HttpRequest], Mark]] = []


def register_page(page: Page) -> None:
    """Add a page. Raises ValueError for a name that is taken."""
    if _pages.setdefault(page.name, page) != page:
        raise ValueError(f"There is a page named '{page.name}' already.")


def register_landing(landing: Landing) -> None:
    """Say what the back office opens with. Raises ValueError when another app said so before."""
    if _landing and _landing[0] != landing:
        raise ValueError(f"The back office opens with {_landing[0].title} already.")
    _landing[:] = [landing]


def register_mark(mark: Callable[[HttpRequest], Mark]) -> None:
    """Add a sign to the header; it is asked once for every page that is shown inside an organisation."""
    _marks.append(mark)


def pages() -> Iterator[Page]:
    """Every registered page."""
    yield from _pages.values()


def landing() -> Landing | None:
    """The registered landing page; None where the overview is it."""
    return _landing[0] if _landing else None


def marks(request: HttpRequest) -> list[Mark]:
    """The signs of the header, for somebody inside an organisation."""
    return [mark(request) for mark in _marks] if actor_if_any(request) is not None else []
