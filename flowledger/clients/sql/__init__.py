"""Statements that the ORM cannot say."""
