"""The library's folders, progress and failures."""
