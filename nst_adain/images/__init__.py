"""Reading and writing pictures and masks, and what users hand in as tensors."""
