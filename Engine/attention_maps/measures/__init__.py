"""The metrics: one small function each. Importing this package registers them, in this order."""

from attention_maps.measures import localization  # isort: skip
from attention_maps.measures import overlap  # isort: skip
from attention_maps.measures import medcam  # isort: skip
from attention_maps.measures import ranking  # isort: skip
from attention_maps.measures import proximity  # isort: skip

__all__ = ["localization", "medcam", "overlap", "proximity", "ranking"]
