"""Small servers that take part in a measurement, each run as a program of its own."""
