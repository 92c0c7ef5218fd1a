"""The kernel's own endpoints."""
