"""What is learned from: sounds, captions, scenes and their features."""
