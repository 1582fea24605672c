"""Tokenizers made from a corpus: how they are trained, written, and what they do to a text."""
