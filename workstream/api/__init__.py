"""The REST interface of the pipeline."""
