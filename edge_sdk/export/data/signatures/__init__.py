"""Data sets of signatures."""
