"""How good and how fast the models are, and how much their videos flicker: one file for each command and what it needs."""
