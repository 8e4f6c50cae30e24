"""Losses, and which images a training step draws for them."""
