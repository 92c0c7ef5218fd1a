"""Raw statements of spotlight; each runs in the scope of the organisation that it names."""
