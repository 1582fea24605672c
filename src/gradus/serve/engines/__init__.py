"""What writes for a server: our own batches, llama.cpp, vLLM; behind one interface.

A worker's engine gets jobs of the task ``complete``, whose body is an `Order`, and says parts::

    {"prompt_tokens": 12, "prompts": ["..."]}            first
    {"i": 0, "t": " text", "n": 3, "f": null, "l": []}    of choice i, as they come
    {"refused": {"message", "param", "code"}}            instead of all that: nothing is written

`t` is text, `n` the tokens written so far, `f` why the choice ended, `l` what the model thought of
the tokens, where that was asked for: ``[token, bytes, nats, [[token, bytes, nats], ...], start]``.
"""
