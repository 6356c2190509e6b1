"""From files to vectors: scanning, decoding in processes, embedding."""
