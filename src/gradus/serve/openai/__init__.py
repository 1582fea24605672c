"""The routes that OpenAI's clients know: completions, chat, embeddings, models.

They follow OpenAI's API reference as the official client of Python speaks it. What a request asks
for and the engine can't do is refused with 400 and the field's name; nothing is passed over in
silence but what says nothing of the text (`user`, `metadata` and the like).
"""
