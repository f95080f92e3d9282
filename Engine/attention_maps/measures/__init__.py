"""The metrics: one small function each. Importing this package registers them."""

from attention_maps.measures import localization, overlap

__all__ = ["localization", "overlap"]
