"""Data sets of faces and presentation attacks."""
