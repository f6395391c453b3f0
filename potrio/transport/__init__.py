"""Placeholder caption."""
