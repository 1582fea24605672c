"""Searching a step's settings: spaces, who proposes, who goes on, what is remembered."""
