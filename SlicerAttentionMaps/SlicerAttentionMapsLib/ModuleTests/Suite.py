"""Runs all tests of this folder one after the other, in the order of use."""

import importlib
import unittest

import slicer

from . import Networks

_FILES = (
    "InputTests",
    "ModelTests",
    "ExplainTests",
    "QuestionTests",
    "LayerTests",
    "ResultTests",
    "CompareTests",
    "MeasureTests",
    "SceneTests",
    "EndTests",
)
_SETTINGS = ("AttentionMaps/", "ctkPathLineEdit/")


def run(name: str = "") -> unittest.TestResult:
    """Run the tests; what a person has in the settings is as before afterwards.

    Args:
        name: part of the names of the tests to run; empty for all of them.
    """
    package = __name__.rpartition(".")[0]
    loader = unittest.TestLoader()
    if name:
        loader.testNamePatterns = [f"*{name}*"]
    modules = [importlib.import_module(f"{package}.{file}") for file in _FILES]
    suite = unittest.TestSuite(loader.loadTestsFromModule(module) for module in modules)
    kept = _settings()
    try:
        return unittest.TextTestRunner(verbosity=2).run(suite)
    finally:
        Networks.remove()
        _restore(kept)


def _settings() -> dict:
    settings = slicer.app.userSettings()
    return {key: settings.value(key) for key in settings.allKeys() if key.startswith(_SETTINGS)}


def _restore(kept: dict) -> None:
    settings = slicer.app.userSettings()
    for key in _settings():
        settings.remove(key)
    for key, value in kept.items():
        settings.setValue(key, value)
