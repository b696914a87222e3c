"""`python -m indexer` is how Nimbus starts the plugin."""

from indexer import plugin

plugin.run()
