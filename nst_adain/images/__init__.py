"""Reads and writes pictures and masks, and checks pictures that users pass as tensors."""
