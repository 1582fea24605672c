"""Intervals, paired tests and numbers of items.

One level runs through a plan, 0.95 by default. Shown intervals are two-sided at that level. A gate
asks in one direction and errs with probability alpha = 1 - level: its bound is one-sided at the
level, the end of the two-sided interval at 2 level - 1 = 0.90. So a shown interval may reach past
a bound that its gate clears; both are right, they answer different questions.
"""
