"""Renders a picture in two passes over its tiles: statistics, then decoding."""
