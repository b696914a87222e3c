"""`python -m sonarr` is how Nimbus starts the plugin."""

from sonarr import plugin

plugin.run()
