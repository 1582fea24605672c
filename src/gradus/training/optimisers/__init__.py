"""Optimisers: one file each, listed in section ``optimisers`` of the catalog."""
