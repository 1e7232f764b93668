from .stylize import stylize_video

__all__ = ["stylize_video"]
