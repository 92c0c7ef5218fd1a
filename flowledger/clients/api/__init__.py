"""Clients and contacts over REST."""
