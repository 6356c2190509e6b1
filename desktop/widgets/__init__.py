"""The looks and widgets that all parts of the window share."""
