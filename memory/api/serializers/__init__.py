"""Serializers of memory."""
