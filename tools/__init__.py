"""Developers' tools; no part of the app."""
