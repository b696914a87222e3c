"""The wire contracts of Nimbus, version 1.

Every message between the gateway, the registry and plugins is a pydantic model in this package. Models only
ever grow: readers ignore fields they do not know, and no field changes its meaning or disappears within a
version. The package imports nothing but pydantic, so that any tool can depend on it.
"""
