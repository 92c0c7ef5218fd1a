"""Parts of the suite `memory`."""
