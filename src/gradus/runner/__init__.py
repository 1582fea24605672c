"""Order, states, reuse and resume of a plan's steps."""
