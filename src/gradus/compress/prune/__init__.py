"""Pruning: what a checkpoint can lose, which of it matters least, and training what remains."""
