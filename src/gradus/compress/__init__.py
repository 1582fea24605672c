"""Compression: classifiers exported to other runtimes, one scheme a file."""
