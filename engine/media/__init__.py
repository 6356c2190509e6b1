"""Sound files: found, opened, decoded, and described. No SQL, no models."""
