"""The job behind ``gradus compress``: try ways to make a checkpoint smaller, recommend one.

It stands beside the runner: what it tries are ordinary steps of a plan that grows, run by
`gradus.runner`, whose records are kept. What is tried further is chosen on dev.select; the claim
is made on another split, by tests in an order fixed before that split is looked at.
"""
