"""Model packs, and the encoder that a pack describes."""
