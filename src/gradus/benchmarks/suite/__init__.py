"""The benchmarks of the GPT-2 paper (Radford et al. 2019), read from the published files."""
