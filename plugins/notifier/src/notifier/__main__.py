"""`python -m notifier` is how Nimbus starts the plugin."""

from notifier import plugin

plugin.run()
