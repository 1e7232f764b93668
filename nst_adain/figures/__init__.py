"""Sheets, animations, and the pictures that the package draws."""
