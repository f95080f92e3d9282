"""Takes the module's own files anew when a developer reloads it."""

import sys

_OWN = "SlicerAttentionMapsLib"


def forgetModules() -> None:
    """Forget the module's imported files, so that importing them reads them again."""
    for name in [name for name in sys.modules if name == _OWN or name.startswith(f"{_OWN}.")]:
        del sys.modules[name]
