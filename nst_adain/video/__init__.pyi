from .smoothing import SmoothedStylizer
from .stylize import stylize_video

__all__ = ["SmoothedStylizer", "stylize_video"]
