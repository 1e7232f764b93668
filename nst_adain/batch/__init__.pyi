from .folder import Report, stylize_folder

__all__ = ["Report", "stylize_folder"]
