"""One file a model, each ending in ``RECIPE = Recipe(...)``."""
