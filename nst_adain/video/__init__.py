"""Stylises videos, frame by frame."""

import lazy_loader

# The name is in __init__.pyi. Using it loads torch.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
