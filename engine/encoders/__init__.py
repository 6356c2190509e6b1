"""Torch models of the retrieval system. Import lazily: torch takes seconds to load."""
