"""What language models write: writings, the samples they stand in, and what is read off them.

Nothing here imports torch before a model is asked.
"""
