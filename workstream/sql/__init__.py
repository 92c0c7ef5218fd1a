"""The raw SQL of the pipeline: set-based statements that run inside a scope and name the organisation."""
