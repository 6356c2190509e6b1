"""What all parts of the window look like and share."""
