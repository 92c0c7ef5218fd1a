"""Organisations, memberships, roles, API keys, and the two walls between organisations."""
