"""The log-likelihood engine: how probable a causal language model finds a continuation."""
