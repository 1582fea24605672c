"""Quantising causal language models: integers for torch, GGUF files for llama.cpp."""
