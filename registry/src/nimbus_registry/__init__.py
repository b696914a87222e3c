"""The control plane of Nimbus: plugin metadata, desired and observed state, the reconciler and the runtimes."""

from importlib.metadata import version

__version__ = version("nimbus-registry")
