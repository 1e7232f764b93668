"""Makes sheets, animations, and style pictures of the package's own."""
