"""Doors to the pipeline's use cases: parse, call one service, answer."""
