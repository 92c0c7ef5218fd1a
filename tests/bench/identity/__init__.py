"""Parts of the suite `identity`."""
