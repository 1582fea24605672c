"""What is computed of writings once, before metrics reduce it: one feature a file."""
