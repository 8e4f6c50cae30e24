"""Data sets: load them by a short specification, split them by person, keep prepared samples on disk.

``load.load`` reads specifications, ``samples`` holds what it gives, ``splits`` deals people into disjoint groups.
"""
