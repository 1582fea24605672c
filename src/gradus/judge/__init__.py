"""A language model as judge of what writers wrote.

What it is asked stands in `questions`, and how the texts that it judges are kept apart from what it
shall do in `quoting`. `local` asks a causal language model of the plan, by the probabilities of the
answers; `address` asks a server that speaks OpenAI's protocol, whose replies `replies` reads. What
came of it is reckoned up in `outcome`; how far it may be trusted in `trust`.
"""
