"""Ideal-customer profiles, evaluation and routing."""
