"""Serves the page of `nst-adain app`."""
