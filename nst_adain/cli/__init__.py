"""The command `nst-adain`: `main` starts it, each command has a file with its options and what it does."""
