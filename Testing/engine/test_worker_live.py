"""Live questions: the newest first, none queued, and a map now and then however many come."""

import threading

import pytest

import attention_maps as am
from attention_maps.worker import messages, server
from attention_maps.worker.client import WorkerClient
from tiny_networks import picture
from worker_models import SLOW_SHAPE, soon, write_models


def test_of_ten_at_once_the_last_is_answered(tmp_path):
    path = write_models(tmp_path)["slow"]
    with WorkerClient() as client:
        client.load_model(path)
        client.set_image(picture(3, shape=SLOW_SHAPE))
        asked = [client.explain("hires_cam", "again", 0, live=True)]

        def runs():
            client.poll()
            return asked[0].fraction > 0

        assert soon(runs, 60)
        asked += [client.explain("hires_cam", "again", index % 2, live=True) for index in range(9)]
        client.wait(asked[-1])
        errors = [request.error for request in asked]
        assert all(isinstance(error, am.Cancelled) for error in errors[:-1])
        assert "progress callback" in str(errors[0])  # it ran
        assert sum("Replaced by a newer question" in str(error) for error in errors) == 8
        assert len(asked[-1].maps) == 1
        assert not any(request.maps for request in asked[:-1])


class Scene:
    """A server whose session is one of steps that the test takes."""

    def __init__(self):
        self.sent = []
        self.begun = []
        self.step = threading.Semaphore(0)
        self.server = server.Server([], self.sent.append, None, lambda: None)
        self.server._kept_session = lambda: self
        threading.Thread(target=self.server.serve, daemon=True).start()

    def explain(self, message, progress, send):
        self.begun.append(message.id)
        while self.step.acquire(timeout=20) and progress(0.5, "working") is False:
            raise am.Cancelled("stopped")
        return messages.Done(message.id)

    def ask(self, number, live=True):
        self.server._take(messages.Explain(number, live=live))

    def answers(self):
        """Number of the request and what came of it, in order."""
        ends = [item for item in self.sent if isinstance(item, messages.Done | messages.Failed)]
        return [(item.id, getattr(item, "message", "done")) for item in ends]

    def take_step(self):
        """Let what runs ask whether to go on, and wait for its end."""
        count = len(self.answers())
        self.step.release()
        assert soon(lambda: len(self.answers()) > count)

    def has_begun(self, number):
        assert soon(lambda: self.begun[-1:] == [number])


REPLACED = "Replaced by a newer question."


def test_every_second_running_question_may_finish(monkeypatch):
    monkeypatch.setattr(server, "SECONDS_TO_FINISH", 0.0)
    scene = Scene()
    scene.ask(1)
    scene.has_begun(1)
    scene.ask(2)
    scene.ask(3)
    assert scene.answers() == [(2, REPLACED)]
    scene.take_step()
    scene.has_begun(3)
    scene.ask(4)
    scene.take_step()
    scene.has_begun(4)
    scene.ask(5)
    scene.take_step()
    assert scene.answers() == [(2, REPLACED), (1, "stopped"), (3, "done"), (4, "stopped")]
    scene.has_begun(5)
    scene.take_step()
    assert scene.answers()[-1] == (5, "done")


def test_other_requests_between_live_ones_change_nothing(monkeypatch):
    monkeypatch.setattr(server, "SECONDS_TO_FINISH", 0.0)
    scene = Scene()
    scene.ask(1)
    scene.has_begun(1)
    scene.ask(2, live=False)
    scene.ask(3)
    scene.take_step()
    scene.has_begun(2)
    scene.take_step()
    scene.has_begun(3)
    scene.ask(4)
    scene.take_step()
    assert scene.answers() == [(1, "stopped"), (2, "done"), (3, "done")]
    scene.has_begun(4)
    scene.take_step()


def test_quick_questions_may_finish():
    scene = Scene()
    for number in (1, 2):
        scene.ask(number)
        scene.has_begun(number)
        scene.take_step()
    scene.ask(3)
    scene.has_begun(3)
    scene.ask(4)
    scene.ask(5)
    scene.take_step()
    scene.has_begun(5)
    scene.take_step()
    assert scene.answers() == [(1, "done"), (2, "done"), (4, REPLACED), (3, "done"), (5, "done")]


def test_other_questions_are_not_replaced():
    scene = Scene()
    scene.ask(1, live=False)
    scene.has_begun(1)
    scene.ask(2, live=False)
    scene.ask(3)
    scene.ask(4)
    assert scene.answers() == [(3, REPLACED)]
    for number in (1, 2, 4):
        scene.has_begun(number)
        scene.take_step()
    assert scene.answers()[1:] == [(1, "done"), (2, "done"), (4, "done")]


@pytest.mark.parametrize("number", [1, 7])
def test_cancel_of_what_is_over_does_nothing(number):
    scene = Scene()
    scene.ask(1)
    scene.has_begun(1)
    scene.take_step()
    scene.server._take(messages.Cancel(8, number))
    scene.ask(2)
    scene.has_begun(2)
    scene.take_step()
    assert scene.answers() == [(1, "done"), (2, "done")]
