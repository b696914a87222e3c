"""`python -m hello` is how Nimbus starts the plugin."""

from hello import plugin

plugin.run()
