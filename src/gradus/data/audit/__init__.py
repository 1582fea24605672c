"""Audits: what is wrong with a data set, and whether it stands for what it is used for.

`audit` looks at a data set's splits, `audit_against` at its dev set beside a sample of real use.
"""
