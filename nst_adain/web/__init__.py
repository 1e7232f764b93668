"""The page of `nst-adain app`."""
