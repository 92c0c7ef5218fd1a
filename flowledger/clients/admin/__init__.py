"""Back-office pages of clients and contacts: the directory, the review queue of identities, and merges."""

from flowledger.clients.admin import conflicts, directory, merges  # noqa: F401  (importing registers the pages)
