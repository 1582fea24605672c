"""Losses over labels: one file each, listed in section ``losses`` of the catalog."""
