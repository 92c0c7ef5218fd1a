"""Signals, candidates, pursuits, gates, proposals and engagements: the pipeline."""
