"""Contamination: which n-grams of a benchmark stand in a training corpus, in constant memory."""
