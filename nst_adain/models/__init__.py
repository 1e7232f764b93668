"""Defines the networks, reads and writes their weights, and exports them to other runtimes."""
