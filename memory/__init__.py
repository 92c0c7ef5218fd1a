"""Institutional memory: atoms, extraction, cards, search and governance."""
