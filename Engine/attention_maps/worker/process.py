"""The worker as a child process: started, written to, listened to, and ended for sure."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import queue
import signal
import subprocess
import threading
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import attention_maps
from attention_maps.errors import WorkerError
from attention_maps.worker import messages
from attention_maps.worker.arrays import SharedFolder
from attention_maps.worker.codec import decode, encode
from attention_maps.worker.endings import count_of_oom_kills, describe_ending
from attention_maps.worker.results import Finished, map_of, result_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from os import PathLike

logger = logging.getLogger(__name__)

SECONDS_TO_LEAVE = 0.4
LINES_OF_LOG = 50
# Not by PYTHONPATH, which a launcher in front of the interpreter may set anew.
RUN = (
    "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); "
    "runpy.run_module('attention_maps.worker', run_name='__main__', alter_sys=True)"
)


class WorkerEndedError(WorkerError):
    """The process ended without being asked."""


class WorkerProcess:
    """A running worker.

    Args:
        interpreter: Python that runs it.
        environment: Variables beside those of this process; None leaves one of them out.
        deliver: Called, from another thread, with this process, the number of a request, and a
            Progress, a WorkerMap, a Finished, a Failed or a WorkerEndedError.
    """

    def __init__(
        self,
        interpreter: str | PathLike[str],
        environment: Mapping[str, str | None],
        deliver: Callable[[tuple[WorkerProcess, int, Any]], None],
    ) -> None:
        self.folder = SharedFolder()
        self.ended = False
        self.environment: dict[str, Any] = {}
        self._deliver = deliver
        self._outgoing: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._log: deque[str] = deque(maxlen=LINES_OF_LOG)
        self._oom_kills = count_of_oom_kills()
        try:
            self._process = _start(interpreter, environment, self.folder.folders)
        except OSError as error:
            self.folder.close()
            raise WorkerError(
                f"The worker could not be started with the Python interpreter '{interpreter}': "
                f"{error.strerror or error}. Choose an interpreter that exists and may be run."
            ) from error
        self._threads = [
            threading.Thread(target=target, name=f"worker {target.__name__}", daemon=True)
            for target in (self._send_all, self._keep_log, self._listen)
        ]
        for thread in self._threads:
            thread.start()

    def send(self, number: int, make: Callable[[SharedFolder], Any]) -> None:
        """Send a message in the order of the calls; never waits.

        Args:
            number: Its request, which fails where the message cannot be made.
            make: Makes it in another thread, as copying arrays takes time.
        """
        self._outgoing.put((number, make))

    def log(self) -> tuple[str, ...]:
        """The last lines that the worker wrote."""
        return tuple(self._log)

    @property
    def pid(self) -> int:
        """Process id of the worker itself, which an interpreter's launcher may have started."""
        return int(self.environment.get("pid", self._process.pid))

    def end(self, *, at_once: bool = False) -> None:
        """End the process and free what it shared; takes less than a second.

        Args:
            at_once: Whether it is killed without being asked first.
        """
        self.ended = True
        self._outgoing.put(None)
        with contextlib.suppress(OSError):
            _pipe(self._process.stdin).close()  # the worker leaves when its input ends
        if at_once or not self._left_within(SECONDS_TO_LEAVE):
            self._process.terminate()
            if at_once or not self._left_within(SECONDS_TO_LEAVE / 2):
                self.kill()
        self._process.wait()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(SECONDS_TO_LEAVE / 4)
        self.folder.close()

    def _left_within(self, seconds: float) -> bool:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
            return True
        return False

    def kill(self) -> None:
        """Send it the signal that no process survives; `end` has to follow."""
        self.ended = True
        self._process.kill()
        if self.pid != self._process.pid:
            with contextlib.suppress(OSError):
                os.kill(self.pid, getattr(signal, "SIGKILL", signal.SIGTERM))

    def _send_all(self) -> None:
        stdin = _pipe(self._process.stdin)
        while (item := self._outgoing.get()) is not None:
            number, make = item
            try:
                line = memoryview(encode(make(self.folder)))
            except Exception as error:  # bad arguments: the request fails, the worker lives on
                failed = messages.Failed(number, type(error).__name__, str(error))
                self._deliver((self, number, failed))
                continue
            try:
                while line:
                    line = line[stdin.write(line) :]
            except (OSError, ValueError):  # it is gone, which `_listen` reports
                return

    def _keep_log(self) -> None:
        with io.BufferedReader(_pipe(self._process.stderr)) as stream:
            for line in stream:
                text = line.decode("utf-8", "replace").rstrip()
                self._log.append(text)
                logger.debug("worker: %s", text)

    def _listen(self) -> None:
        with io.BufferedReader(_pipe(self._process.stdout)) as stream:
            for line in stream:
                try:
                    self._hear(decode(line, messages.REPLIES))
                except WorkerError as error:
                    logger.debug("Not from the worker's messages: %s", error)
        code = self._process.wait()
        if self.ended:
            return
        self.ended = True
        self._threads[1].join(SECONDS_TO_LEAVE)
        self.folder.close()
        kills = count_of_oom_kills()
        memory_ran_out = self._oom_kills is not None and (kills or 0) > self._oom_kills
        text = describe_ending(code, self.log(), memory_ran_out)
        self._deliver((self, 0, WorkerEndedError(text, self.log())))

    def _hear(self, reply: Any) -> None:
        value = reply
        if isinstance(reply, messages.MapMade):
            value = map_of(reply, self.folder)
        elif isinstance(reply, messages.Done):
            if "pid" in reply.result:
                self.environment = reply.result
            value = Finished(result_of(reply, self.folder))
        self._deliver((self, reply.id, value))


def _start(
    interpreter: str | PathLike[str], environment: Mapping[str, str | None], folders: list[Path]
) -> subprocess.Popen[bytes]:
    """Start the worker so that it finds this package, without a window on Windows."""
    home = str(Path(attention_maps.__file__).parents[1])
    given = {**os.environ, **environment}
    variables = {name: value for name, value in given.items() if value is not None}
    command = [
        os.fspath(interpreter), "-P", "-c", RUN, home, "--parent", str(os.getpid()),
        "--folder", *map(str, folders),
    ]  # fmt: skip
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        bufsize=0, env=variables,
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0)
        | getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0),
    )  # fmt: skip


def _pipe(stream: Any) -> io.FileIO:
    """A pipe of the process, without a buffer: closing it waits for nobody."""
    return cast("io.FileIO", stream)
