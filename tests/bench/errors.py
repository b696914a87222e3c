"""What can go wrong with a measurement."""


class BenchError(Exception):
    """The bench cannot go on, or a measurement is not valid; the text says why and what to do."""
