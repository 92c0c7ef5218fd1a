"""Loading what happened before: a CRM's export becomes the pipeline with its historic times.

`mapping` says which column means what, `reading` turns lines into facts or refuses them by line number, `reference`
finds or makes clients, solutions and members, `journeys` walks each opportunity through the pipeline's own transitions
and gates in memory, `loading` stores them in whole chunks, and `report` says what was done.
"""

from workstream.history.loading import import_history
from workstream.history.mapping import DEFAULT_MAPPING, HistoryMapping, MappingRefused, load_mapping
from workstream.history.reading import ExportRefused
from workstream.history.report import HistoryReport

__all__ = [
    "DEFAULT_MAPPING",
    "ExportRefused",
    "HistoryMapping",
    "HistoryReport",
    "MappingRefused",
    "import_history",
    "load_mapping",
]
