"""Speaks Sonarr's v3 API, so that its clients work with the library and the downloads of Nimbus."""

from sonarr import lists, series, system, work
from sonarr.app import plugin

__all__ = ["lists", "plugin", "series", "system", "work"]
