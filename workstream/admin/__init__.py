"""Back-office pages of the pipeline, one module per group of models."""

from workstream.admin import (  # noqa: F401  (importing registers the pages)
    activities,
    analytics,
    breaches,
    calendars,
    candidates,
    engagements,
    history,
    notifications,
    proposals,
    pursuits,
    signals,
    sla_rules,
    taxonomy,
    templates,
    today,
)
