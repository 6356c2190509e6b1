"""Playing sounds: the player, its output device, and the strip that steers them."""
