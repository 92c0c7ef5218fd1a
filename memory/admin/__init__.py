"""Back-office pages of memory, one module per group of models."""

from memory.admin import (  # noqa: F401  (importing registers the pages)
    atoms,
    card_panel,
    conflicts,
    governance,
    health,
    search_page,
)
