"""The command line: `attention-maps layers|explain|evaluate|methods|demo`.

Modules that bring torch along are imported inside the commands, so that --help is quick.
"""

from attention_maps.cli.app import app, main

__all__ = ["app", "main"]
