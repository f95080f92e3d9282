"""Translation of what people read: `from .i18n import _`.

In the application `_` is Slicer's own `tr` itself, not a wrapper: it takes the context of a
translation from the file that calls it. Elsewhere text stays as it is; `slicer` is not imported.
"""

import sys

if "slicer.i18n" in sys.modules or hasattr(sys.modules.get("slicer"), "app"):
    from slicer.i18n import tr as _
else:

    def _(text: str) -> str:
        return text


__all__ = ["_"]
