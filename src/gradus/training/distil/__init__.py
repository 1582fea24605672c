"""Distilling: a small model learns from a large one, through the loop that all training takes."""
