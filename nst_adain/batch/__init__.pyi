from .bulk import Totals, stylize_bulk
from .folder import stylize_folder
from .runs import Report

__all__ = ["Report", "Totals", "stylize_bulk", "stylize_folder"]
