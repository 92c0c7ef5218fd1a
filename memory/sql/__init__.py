"""Statements of memory over many rows."""
