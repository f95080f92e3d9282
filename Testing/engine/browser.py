"""A real browser without a window: what a page says on the console, and asks the net for."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run", "--hide-scrollbars",
    "--enable-logging=stderr", "--v=0",
)  # fmt: skip
CONSOLE = re.compile(r"CONSOLE[:(]\d+\)?\] (.*)")
ITS_OWN = "not an origin"  # who asks where it is the browser itself, not a page


@dataclass(frozen=True)
class Opened:
    """A page that was opened.

    Args:
        dom: The document, after it was loaded.
        console: Messages and errors on the console.
        requests: Addresses that the page asked for.
    """

    dom: str
    console: list[str]
    requests: list[str]


def find_browser() -> str:
    """The browser of this machine; without one the test is skipped."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium or Chrome is installed")
    return found


def open_page(page: Path, folder: Path, width: int = 1280) -> Opened:
    """Open a page of the disk.

    Args:
        page: The page.
        folder: For the browser's own files.
        width: Of the window in pixels.
    """
    log = folder / "net.json"
    command = [find_browser(), *FLAGS, f"--user-data-dir={folder / 'profile'}"]
    command += [f"--log-net-log={log}", "--dump-dom", f"--window-size={width},900", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    text = log.read_text(encoding="utf-8").rstrip().rstrip(",")
    if not text.endswith("}"):  # the browser ended before it closed the list
        text += "]}"
    record = json.loads(text)
    wanted = record["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    requests = [
        event["params"]["url"]
        for event in record["events"]
        if event["type"] == wanted and event.get("params", {}).get("initiator", ITS_OWN) != ITS_OWN
    ]
    return Opened(done.stdout, CONSOLE.findall(done.stderr), requests)
