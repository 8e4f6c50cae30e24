"""From a model's outputs to scores: higher is more genuine. One file a score."""
