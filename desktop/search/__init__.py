"""Searching: the box, the query and its results."""
