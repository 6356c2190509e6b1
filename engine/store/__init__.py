"""The library on disk: a SQLite catalogue of sounds, and their vectors in memory for searching."""
