"""Benchmarks that have the model write: summaries, translations, answers.

The prompt formats are those of the GPT-2 paper (Radford et al. 2019, sections 3.5 to 3.8).
"""
