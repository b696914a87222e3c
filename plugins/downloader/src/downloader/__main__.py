"""`python -m downloader` is how Nimbus starts the plugin."""

from downloader import plugin

plugin.run()
