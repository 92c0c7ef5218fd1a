"""Back-office pages of the pipeline, one module per group of models."""

from workstream.admin import (  # noqa: F401  (importing registers the pages)
    activities,
    candidates,
    engagements,
    history,
    proposals,
    pursuits,
    signals,
    taxonomy,
    templates,
)
