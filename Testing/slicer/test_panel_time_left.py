"""How long it will still take, by a clock that the test moves."""

import doctest

import pytest

from SlicerAttentionMapsLib.Panel import TimeLeft as module
from SlicerAttentionMapsLib.Panel.TimeLeft import TimeLeft, inWords


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


def advance(clock, estimate, seconds, fraction, message=""):
    clock.now += seconds
    estimate.report(fraction, message)


def test_nobody_knows_at_first(clock):
    estimate = TimeLeft(clock)
    assert estimate.seconds() is None
    advance(clock, estimate, 60.0, 0.1)
    assert estimate.seconds() is None
    advance(clock, estimate, 1.0, 0.5)
    assert estimate.seconds() is None  # too early
    advance(clock, estimate, 9.0, 0.5)
    assert estimate.seconds() == pytest.approx(0.5 * 10.0 / 0.4)


def test_a_hardly_moving_bar_tells_nothing(clock):
    estimate = TimeLeft(clock)
    advance(clock, estimate, 10.0, 0.01)
    advance(clock, estimate, 10.0, 0.014)
    assert estimate.seconds() is None


def test_a_steady_pace_is_carried_on(clock):
    estimate = TimeLeft(clock)
    for step in range(6):
        advance(clock, estimate, 1.0, 0.1 * step)
    assert estimate.seconds() == pytest.approx(5.0)


def test_it_falls_with_the_clock_between_reports_but_never_below_nothing(clock):
    estimate = TimeLeft(clock)
    advance(clock, estimate, 0.0, 0.25)
    advance(clock, estimate, 5.0, 0.5)
    assert estimate.seconds() == pytest.approx(10.0)
    clock.now += 2.0
    assert estimate.seconds() == pytest.approx(8.0)
    clock.now += 10.0
    assert estimate.seconds() == 0.0


def test_the_pace_of_the_last_seconds_counts(clock):
    estimate = TimeLeft(clock)
    advance(clock, estimate, 0.0, 0.0)
    advance(clock, estimate, 100.0, 0.1)  # it was slow at first
    for step in range(1, 31):
        advance(clock, estimate, 1.0, 0.1 + 0.02 * step)
    assert estimate.seconds() == pytest.approx(0.3 / 0.02, rel=0.06)


def test_a_stage_has_its_own_pace(clock):
    estimate = TimeLeft(clock)
    advance(clock, estimate, 0.0, 0.0, "Running the network")
    advance(clock, estimate, 4.0, 0.4, "Running the network")
    assert estimate.seconds() == pytest.approx(6.0)
    advance(clock, estimate, 1.0, 0.41, "Occlusion: 1 of 60")
    assert estimate.seconds() is None
    advance(clock, estimate, 2.0, 0.42, "Occlusion: 2 of 60")
    assert estimate.seconds() == pytest.approx(0.58 / 0.01 * 2.0)


def test_a_step_back_begins_anew(clock):
    estimate = TimeLeft(clock)
    advance(clock, estimate, 10.0, 0.9)
    advance(clock, estimate, 1.0, 0.25)
    assert estimate.seconds() is None
    advance(clock, estimate, 4.0, 0.5)
    assert estimate.seconds() == pytest.approx(8.0)


def test_starting_forgets_the_last_question(clock):
    estimate = TimeLeft(clock)
    advance(clock, estimate, 1.0, 0.2)
    advance(clock, estimate, 10.0, 0.5)
    assert estimate.seconds() is not None
    estimate.start()
    assert estimate.seconds() is None


def test_words_are_no_more_exact_than_is_known():
    assert [inWords(seconds) for seconds in (0, 10, 11, 55, 56, 120, 3599, 3601)] == [
        "1 s", "10 s", "15 s", "55 s", "1 min", "2 min", "1 h 0 min", "1 h 1 min",
    ]  # fmt: skip
    assert doctest.testmod(module).failed == 0
