"""Cross-validation: folds of train, what each configuration says of what it wasn't trained on, and
what may be concluded from it. Step `crossval` puts the parts together."""
