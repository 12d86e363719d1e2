"""What the servers raise; clients may be allowed to rebuild it."""

from __future__ import annotations


class NoDisk(Exception):
    """It keeps its arguments, and tells keyword arguments the way that peers rebuild them."""

    def __init__(self, size, unit="GB"):
        super().__init__(size)
        self.size = size
        self.unit = unit
        self.kwargs = {"unit": unit}


class Unbuildable(Exception):
    """Its constructor does not take what `args` has."""

    def __init__(self, first, second):
        super().__init__(f"{first} and {second}")
