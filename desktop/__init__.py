"""The Qt front end of Foundsound. It talks to the engine through ``bridge.py`` only."""
