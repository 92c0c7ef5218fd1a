"""Back-office pages of the pipeline, one module per group of models."""

from workstream.admin import (  # noqa: F401  (importing registers the pages)
    activities,
    analytics,
    breaches,
    calendars,
    candidates,
    engagements,
    history,
    imports,
    ingest_health,
    notifications,
    proposals,
    pursuits,
    rejects,
    signals,
    sla_rules,
    sources,
    taxonomy,
    templates,
    today,
)
