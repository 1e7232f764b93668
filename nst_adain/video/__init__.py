"""Stylises videos, frame by frame."""

import lazy_loader

# The names are in __init__.pyi. The first one used loads torch.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
