"""Foundsound's engine: describe a sound, find it in your own library. Knows nothing of Qt."""

__version__ = "0.1.0"
