"""Parts of the suite `sla`."""
