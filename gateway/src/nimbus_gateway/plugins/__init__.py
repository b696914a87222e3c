"""The plugin API of the gateway, a façade over the registry, and the calls that the platform makes on plugins."""
