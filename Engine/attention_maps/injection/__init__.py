"""One line for people who come from M3d-CAM: `model = inject(model, ...)`, and its `Evaluator`.

The package is not called `inject`, as that is the name of the function.
"""

from attention_maps.injection.evaluator import Evaluator
from attention_maps.injection.inject import inject

__all__ = ["Evaluator", "inject"]
