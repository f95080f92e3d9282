"""Arrays keep their order in memory on the way, and what was counted over there is right."""

import numpy as np
import pytest

import attention_maps as am
from attention_maps.worker.arrays import SharedFolder, copy_axes, memory_order
from attention_maps.worker.client import WorkerClient
from attention_maps.worker.summaries import fingerprint_of
from tiny_networks import picture
from worker_models import write_models

AFFINE = np.array([[0, -2, 0, 10.0], [1.5, 0, 0, -20], [0, 0, 3, 5], [0, 0, 0, 1]])


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return write_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def client():
    with WorkerClient(environment={"OMP_NUM_THREADS": "1"}) as found:
        yield found


@pytest.fixture
def folder():
    found = SharedFolder()
    yield found
    found.close()


def numbers(shape) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 99, shape).astype(np.int16)


ORDERS = [(0, 1, 2, 3), (0, 3, 2, 1), (3, 2, 1, 0), (2, 0, 3, 1)]


@pytest.mark.parametrize("axes", ORDERS)
def test_an_array_lies_over_there_as_it_lies_here(folder, axes):
    stored = numbers([(2, 33, 4, 17)[axis] for axis in axes])
    array = stored.transpose(np.argsort(axes))
    assert memory_order(array) == axes
    found = folder.fetch(folder.share(array))
    np.testing.assert_array_equal(found, array)
    assert memory_order(found) == axes
    assert found.transpose(axes).flags.c_contiguous


def test_a_slice_of_every_second_voxel_backward(folder):
    array = numbers((20, 30, 40)).T[::-2, 3:, ::-1]
    found = folder.fetch(folder.share(array))
    np.testing.assert_array_equal(found, array)
    assert found.transpose(memory_order(array)).flags.c_contiguous


def test_channels_become_one_array(folder):
    channels = [numbers((7, 6, 5)).T, numbers((7, 6, 5)).astype(np.float32).T]
    found = folder.fetch(folder.share_channels(channels))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.stack(channels))
    assert memory_order(found) == (0, 3, 2, 1)


@pytest.mark.parametrize("size", [1, 15, 16, 17, 40])
def test_copies_between_orders(size):
    source = numbers((3, size, 5)).T
    target = np.empty(source.shape, dtype=np.float32)
    copy_axes(source, target)
    np.testing.assert_array_equal(target, source)
    back = np.empty_like(source)
    copy_axes(target, back)
    np.testing.assert_array_equal(back, source)


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 1, 0)])
def test_maps_and_labels_come_back_in_the_order_of_the_image(client, paths, axes):
    whole = picture(3)[0]
    stored = np.ascontiguousarray(whole.transpose(axes))
    client.load_model(paths["segmenter"])
    client.set_image([stored.transpose(np.argsort(axes))], AFFINE)
    made = client.wait(client.explain("hires_cam", "act2", 1))[0]
    expected = am.explain(paths["segmenter"], am.Image(whole[None], AFFINE), "hires_cam", "act2", 1)
    np.testing.assert_allclose(made.image.array, expected.image.array, atol=1e-6)
    assert made.image.array[0].transpose(axes).flags.c_contiguous
    answer = client.wait(client.answer())
    assert answer.labels.transpose(axes).flags.c_contiguous


def test_extremes_counts_box_and_fingerprint(client, paths):
    image = am.Image(picture(3), AFFINE)
    client.load_model(paths["segmenter"])
    client.set_image(image)
    made = client.wait(client.explain("hires_cam", "act2", 1))[0]
    assert made.extremes == (made.image.array.min(), made.image.array.max())
    answer = client.wait(client.answer())
    labels = am.Explainer(paths["segmenter"], image).prediction.array[0].astype(int)
    assert answer.label_counts == tuple(np.bincount(labels.ravel()))
    inside = np.argwhere(labels)
    assert answer.label_box == tuple(zip(inside.min(0), inside.max(0), strict=True))
    assert answer.fingerprint == fingerprint_of(labels)
    labels[0, 0, 0] += 1
    assert answer.fingerprint != fingerprint_of(labels)


def test_live_questions_bring_no_more_than_is_shown(client, paths):
    client.load_model(paths["segmenter"])
    client.set_image(picture(3))
    assert client.wait(client.explain("hires_cam", "act2", 1))[0].raw is not None
    assert client.wait(client.explain("hires_cam", "act2", 1, live=True))[0].raw is None


def test_layers_of_a_usual_size_leave_the_image_alone(client, paths):
    client.load_model(paths["coarse"])
    client.set_image(np.zeros((1, 48, 40, 56), dtype=np.float32))
    usual = client.wait(client.layers(sized=False))
    assert usual[0].shape[2:] != (6, 5, 7)
    sized = client.wait(client.layers())
    assert next(info for info in sized if info.name == "conv").shape[2:] == (6, 5, 7)


def test_a_forgotten_image_is_sent_again(client, paths):
    client.load_model(paths["segmenter"])
    first = client.wait(client.set_image(picture(3), image_id="scan"))
    client.forget_image()
    again = client.wait(client.set_image(np.ones((1, 5, 6, 7)), image_id="scan"))
    assert first["shape"] != again["shape"] == [5, 6, 7]
