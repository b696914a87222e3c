"""The interactive documentation of the public API, without anything from another host."""
