"""Back-office pages of spotlight, one module per group of models."""

from spotlight.admin import (  # noqa: F401  (importing registers the pages)
    analytics,
    fields,
    learning,
    profiles,
    rescores,
    reviews,
    score_pages,
    score_panel,
    scores,
)
