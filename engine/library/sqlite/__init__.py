"""The library in a SQLite file."""
