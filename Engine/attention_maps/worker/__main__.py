"""`python -m attention_maps.worker --parent PID --folder FOLDER ...`: started by the client."""

from __future__ import annotations

import argparse
import faulthandler
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from attention_maps.worker.arrays import SharedFolder
from attention_maps.worker.codec import encode
from attention_maps.worker.parent import watch_parent
from attention_maps.worker.server import Server

if TYPE_CHECKING:
    from attention_maps.worker.messages import Reply


NICENESS = 5


class Channel:
    """Standard input and output, kept for messages.

    Whatever else reads standard input finds it empty; whatever else prints does so on standard
    error, in Python and in C++.
    """

    def __init__(self) -> None:
        self.lines: BinaryIO = os.fdopen(os.dup(0), "rb")
        self._stream: BinaryIO = os.fdopen(os.dup(1), "wb")
        self._lock = threading.Lock()
        empty = os.open(os.devnull, os.O_RDONLY)
        os.dup2(empty, 0)
        os.close(empty)
        os.dup2(2, 1)

    def send(self, reply: Reply) -> None:
        """Write a message at once; a client that is gone is noticed by the reader."""
        line = encode(reply)
        with self._lock:
            try:
                self._stream.write(line)
                self._stream.flush()
            except OSError:
                logging.getLogger(__name__).debug("Nobody listens to %s", reply)


def main() -> None:
    """Serve until standard input ends or the parent is gone."""
    parser = argparse.ArgumentParser(prog="python -m attention_maps.worker", description=__doc__)
    parser.add_argument("--parent", type=int, help="process whose end is the worker's end")
    parser.add_argument("--folder", type=Path, nargs="*", help="folders of shared arrays")
    chosen = parser.parse_args()
    channel = Channel()
    _lower_priority()
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is the client's to handle
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    folder = SharedFolder(chosen.folder)

    def leave() -> None:
        folder.close()
        os._exit(0)  # from whatever thread, in the middle of whatever operator

    server = Server(channel.lines, channel.send, folder, leave)
    if chosen.parent is not None:
        watch_parent(chosen.parent, leave)
    threading.Thread(target=server.read, name="reader", daemon=True).start()
    server.serve()


def _lower_priority() -> None:
    """Let programs that a person works with go first (on Windows the client sees to it)."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)


if __name__ == "__main__":
    main()
