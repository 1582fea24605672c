"""What step `calibrate` fits on dev.select: temperature, thresholds, and when to abstain."""
