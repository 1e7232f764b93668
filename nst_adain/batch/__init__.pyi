from .folder import stylize_folder
from .runs import Report

__all__ = ["Report", "stylize_folder"]
