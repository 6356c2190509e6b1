"""Hearing sounds."""
