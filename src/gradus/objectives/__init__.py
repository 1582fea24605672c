"""Objectives: what a training step minimises, and the head that belongs to it."""
