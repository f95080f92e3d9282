"""Where features lie: against receptive fields measured by gradients, and bright voxels in scans.

The reference is independent of the rules: the centroid of |d feature / d input| says where the
receptive field of a feature lies.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

import attention_maps as am
from networks import ZOO, as_torchscript, build, seeded, seeded_input


class Call(nn.Module):
    """A function as a layer."""

    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


def conv(i, o, k=3, s=1, p=0, d=1, **options):
    return nn.Conv2d(i, o, k, s, p, d, bias=False, **options)


def down():
    """What comes before the layer in question: features at 2 * i."""
    return conv(1, 2, 3, 2, 1)


def up(k=2, s=2, p=0, **options):
    return nn.ConvTranspose2d(2, 2, k, s, p, bias=False, **options)


def positive(layers):
    """Layers in a row in double precision, all weights alike."""
    network = nn.Sequential(*layers).double().eval()
    for parameter in network.parameters():
        nn.init.constant_(parameter, 0.1)
    return network


def geometry_of(network, shape=(32, 32)):
    model = am.load_model(network)
    return model, model.geometry(seeded_input((1, 1, *shape), torch.float64))


def centroids(network, layout, shape, positions):
    """Input-gradient centroids of features at (len(positions), axes) grid positions."""
    inputs = torch.rand((1, 1, *shape), dtype=torch.float64).requires_grad_()
    features = layout.to_grid(network(inputs)).sum(1)[0]
    found = []
    for position in positions:
        (gradient,) = torch.autograd.grad(features[tuple(position)], inputs, retain_graph=True)
        weights = gradient[0, 0].abs() / gradient.abs().sum()
        index = torch.meshgrid(*(torch.arange(n) for n in shape), indexing="ij")
        found.append([float((weights * axis).sum()) for axis in index])
    return np.array(found)


def check_centroids(layers, shape=(32, 32), tolerance=0.05):
    """Features in the middle are, on average over a few neighbors, where the layout says."""
    network = positive(layers)
    _, geometry = geometry_of(network, shape)
    layout = geometry.layouts[str(len(layers) - 1)]
    assert layout is not None
    assert layout.exact
    counts = [max(1, min(6, n - 2)) for n in layout.grid]
    first = [n // 2 - count // 2 for n, count in zip(layout.grid, counts, strict=True)]
    positions = np.add(first, np.arange(min(counts))[:, None])
    expected = np.array(layout.offset) + np.array(layout.stride) * positions
    error = centroids(network, layout, shape, positions) - expected
    # operators that repeat a voxel show it beside its place, on one side and on the other
    assert np.abs(error.mean(axis=0)).max() < tolerance
    assert np.abs(error).max() < 0.7 * max(1, *np.abs(layout.stride))
    return layout


CONVOLUTIONS = [
    (k, s, p, d)
    for k in (1, 2, 3, 4, 5, 7)
    for s in (1, 2, 3)
    for p in (0, 1, 3)
    for d in (1, 2)
    if p <= k * d // 2
]


@pytest.mark.parametrize(("k", "s", "p", "d"), CONVOLUTIONS)
def test_convolutions(k, s, p, d):
    layout = check_centroids([conv(1, 1, k, s, p, d)], (48, 44))
    assert layout.stride == (s, s)
    assert layout.offset == ((d * (k - 1)) / 2 - p,) * 2


@pytest.mark.parametrize("k", [(1, 3), (4, 3), (2, 5)])
def test_convolutions_that_differ_per_axis(k):
    check_centroids([conv(1, 2, k, (2, 1), (0, 2), (1, 2)), conv(2, 1, 3, (1, 2))], (40, 40))


def frame(x):
    framed = x.new_zeros(1, 2, 20, 20)
    framed[:, :, 2:18, 3:19] = x
    return framed


LAYERS = {
    "transposed k2 s2": [down(), up()],
    "transposed k3 s2": [down(), up(3, 2, 1, output_padding=1)],
    "transposed k4 s2": [down(), up(4, 2, 1)],
    "transposed k3 s2 without padding": [down(), up(3)],
    "transposed k3 s1": [down(), up(3, 1, 1)],
    "transposed k6 s3": [down(), up(6, 3, 2)],
    "average pooling": [down(), nn.AvgPool2d(2)],
    "average pooling with padding": [down(), nn.AvgPool2d(3, 2, 1)],
    "average pooling up to the border": [down(), nn.AvgPool2d(3, 2, ceil_mode=True)],
    "average pooling per axis": [down(), nn.AvgPool2d((3, 2), (2, 1))],
    "adaptive pooling": [nn.AdaptiveAvgPool2d(8)],
    "adaptive pooling per axis": [nn.AdaptiveAvgPool2d((16, 8))],
    "power pooling": [down(), nn.LPPool2d(1, 2)],
    "nearest": [down(), nn.Upsample(scale_factor=2)],
    "nearest exact": [down(), nn.Upsample(scale_factor=2, mode="nearest-exact")],
    "nearest downwards": [conv(1, 2), Call(lambda x: F.interpolate(x, scale_factor=0.5))],
    "nearest by three": [down(), nn.Upsample(scale_factor=(3, 2))],
    "linear": [down(), nn.Upsample(scale_factor=2, mode="bilinear")],
    "linear, aligned": [down(), nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)],
    "linear to a size": [down(), nn.Upsample((40, 28), mode="bilinear")],
    "linear to a size, aligned": [
        down(), nn.Upsample((40, 28), mode="bilinear", align_corners=True),
    ],
    "linear by 1.7": [down(), nn.Upsample(scale_factor=1.7, mode="bilinear")],
    "linear by 1.7 with new factor": [
        down(), Call(lambda x: F.interpolate(
            x, scale_factor=1.7, mode="bilinear", recompute_scale_factor=True)),
    ],
    "linear downwards": [Call(lambda x: F.interpolate(x, scale_factor=0.5, mode="bilinear"))],
    "antialiased": [
        Call(lambda x: F.interpolate(x, scale_factor=0.5, mode="bilinear", antialias=True)),
    ],
    "zeros around": [conv(1, 2, 5, 2, 2, padding_mode="zeros")],
    "reflected": [conv(1, 2, 5, 2, 2, padding_mode="reflect")],
    "replicated": [conv(1, 2, 5, 2, 2, padding_mode="replicate")],
    "circular": [conv(1, 2, 5, 2, 2, padding_mode="circular")],
    "same, even kernel": [conv(1, 2, 4, 1, "same"), conv(2, 2, 3, 1, "valid")],
    "padding": [Call(lambda x: F.pad(x, (3, 1, 0, 2))), conv(1, 2, 3, 2)],
    "cropping by padding": [Call(lambda x: F.pad(x, (-3, 1, -2, -2))), conv(1, 2, 3, 2)],
    "zeros in front": [
        down(),
        Call(lambda x: torch.cat([x.new_zeros(1, 2, 3, 16), x, x.new_zeros(1, 2, 1, 16)], 2)),
    ],
    "cropping": [down(), Call(lambda x: x[:, :, 2:-3, 1:])],
    "every second": [down(), Call(lambda x: x[:, :, 1::2, ::2])],
    "narrow": [down(), Call(lambda x: x.narrow(2, 3, 8))],
    "written into a frame": [down(), Call(frame)],
    "pixel shuffle": [conv(1, 8, 3, 2, 1), nn.PixelShuffle(2)],
    "pixel unshuffle": [down(), nn.PixelUnshuffle(2), conv(8, 2)],
    "space to depth": [
        down(), Call(lambda x: x.reshape(1, 2, 8, 2, 8, 2).permute(0, 1, 3, 5, 2, 4).reshape(
            1, 8, 8, 8)), conv(8, 2, 1),
    ],
    "space to depth by slices": [
        Call(lambda x: torch.cat([x[..., i::2, j::2] for i in (0, 1) for j in (0, 1)], 1)),
        conv(4, 2, 3, 1, 1),
    ],
    "depth to space": [
        conv(1, 8, 3, 2, 1), Call(lambda x: x.reshape(1, 2, 2, 2, 16, 16).permute(
            0, 1, 4, 2, 5, 3).reshape(1, 2, 32, 32)),
    ],
    "flip": [conv(1, 2, 3, 2), Call(lambda x: x.flip(2, 3)), conv(2, 2, 2)],
    "flip of one axis": [conv(1, 2, 3, 2), Call(lambda x: x.flip(-1)), conv(2, 2, 3, 2)],
    "roll": [down(), Call(lambda x: x.roll((2, -3), (2, 3)))],
    "transposed": [down(), Call(lambda x: x.transpose(2, 3)), conv(2, 2, (3, 1), (2, 1))],
    "turned": [down(), Call(lambda x: x.rot90(1, (2, 3)))],
    "turned back": [down(), Call(lambda x: x.rot90(3, (2, 3)))],
    "turned by half": [down(), Call(lambda x: x.rot90(2, (2, 3)))],
    "channels last": [
        down(), Call(lambda x: x.permute(0, 2, 3, 1)), nn.Linear(2, 3, bias=False),
        Call(lambda x: x.permute(0, 3, 1, 2)), conv(3, 2, 2, 2),
    ],
    "repeated": [
        down(), Call(lambda x: x.repeat_interleave(2, 2).repeat_interleave(2, 3)),
    ],
    "repeated by views": [
        down(), Call(lambda x: x[:, :, :, None, :, None].expand(-1, -1, -1, 2, -1, 2).reshape(
            1, 2, 32, 32)),
    ],
    "patches": [down(), nn.Unfold(2, stride=2), Call(lambda x: x.reshape(1, 8, 8, 8))],
    "patches as tokens": [down(), nn.Unfold(3, stride=2, padding=1)],
    "patches and back": [
        Call(lambda x: F.fold(F.unfold(x, 3, padding=1), (32, 32), 3, padding=1)), down(),
    ],
    "windows": [down(), Call(lambda x: x.unfold(2, 4, 4).unfold(3, 4, 4).flatten(4).mean(-1))],
    "split and joined": [conv(1, 4), Call(lambda x: torch.cat(x.split(2, 1), 1)), conv(4, 2, 2, 2)],
    "rows split and joined": [down(), Call(lambda x: torch.cat(x.split(8, 2), 2)), conv(2, 2, 2)],
    "one part": [down(), Call(lambda x: x.split(8, 2)[1])],
    "last part": [down(), Call(lambda x: x.chunk(2, -1)[1])],
    "row by row": [
        Call(lambda x: torch.stack([F.avg_pool1d(row, 2) for row in x.unbind(2)], 2)),
    ],
    "every second row": [
        Call(lambda x: torch.cat(
            [F.avg_pool2d(x[:, :, i : i + 1], (1, 2)) for i in range(1, 32, 2)], 2)),
    ],
    "rows as batch": [
        Call(lambda x: x.permute(2, 0, 1, 3).flatten(0, 1)),
        nn.Conv1d(1, 2, 3, 2, 1, bias=False),
        Call(lambda x: x.permute(1, 0, 2)[None]),
    ],
    "channel by channel": [down(), Call(lambda x: F.avg_pool2d(x.reshape(2, 1, 16, 16), 2)),
                           Call(lambda x: x.reshape(1, 2, 8, 8))],
    "groups shuffled": [conv(1, 4, 3, 2, 1), nn.ChannelShuffle(2), conv(4, 4, 2, 2, groups=4)],
    "einsum": [
        down(), Call(lambda x: torch.einsum("bchw,kc->bkhw", x, torch.ones(3, 2).to(x))),
    ],
    "stacked and averaged": [down(), Call(lambda x: torch.stack([x, 2 * x]).mean(0))],
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
@pytest.mark.parametrize("name", LAYERS)
def test_layers(name):
    check_centroids(LAYERS[name])


@pytest.mark.parametrize(
    "pooling",
    [
        (nn.MaxPool2d, (2,)), (nn.MaxPool2d, (3, 2, 1)), (nn.MaxPool2d, (3, 2, 0, 2)),
        (nn.MaxPool2d, ((1, 2), (2, 1))), (nn.AdaptiveMaxPool2d, (8,)),
    ],
)  # fmt: skip
def test_maximum_pooling_is_placed_like_average_pooling(pooling):
    kind, options = pooling
    _, geometry = geometry_of(positive([down(), kind(*options)]))
    layout = geometry.layouts["1"]
    if kind is nn.AdaptiveMaxPool2d:
        twin = [down(), nn.AdaptiveAvgPool2d(*options)]
    elif len(options) == 4:  # dilated: a kernel of 5
        twin = [down(), nn.AvgPool2d(5, 2)]
    else:
        twin = [down(), nn.AvgPool2d(*options)]
    _, reference = geometry_of(positive(twin))
    assert (layout.stride, layout.offset) == (
        reference.layouts["1"].stride,
        reference.layouts["1"].offset,
    )


def test_unpooling_goes_back():
    network = positive([down(), Call(lambda x: F.max_unpool2d(
        *F.max_pool2d(x, 2, return_indices=True), 2))])  # fmt: skip
    _, geometry = geometry_of(network)
    assert (geometry.layouts["1"].stride, geometry.layouts["1"].offset) == ((2, 2), (0, 0))


def test_slices_of_a_volume_through_a_planar_network():
    """2D convolutions and pooling over the slices of a volume, as a batch."""

    def planar(x):
        slices = x[0].permute(3, 0, 1, 2)
        slices = F.max_pool2d(F.conv2d(slices, torch.ones(2, 1, 3, 3).to(x), stride=2), 2)
        return slices.permute(1, 2, 3, 0)[None]

    _, geometry = geometry_of(nn.Sequential(Call(planar)).double(), (24, 20, 6))
    layout = geometry.layouts["0"]
    assert layout.exact
    assert layout.stride == (4, 4, 1)
    assert layout.offset == (2, 2, 0)


UNKNOWN = {
    "gather": lambda x: x.gather(2, torch.arange(16).flip(0)[None, None, :, None].expand_as(x)),
    "sort": lambda x: x.sort(2, descending=True)[0],
    "chosen rows": lambda x: x[:, :, torch.tensor([3, 1, 2, 9])],
    "index_select": lambda x: x.index_select(2, torch.tensor([3, 1, 2, 9])),
    "grid_sample": lambda x: F.grid_sample(
        x, F.affine_grid(torch.eye(2, 3)[None].to(x) + 0.3, x.shape, align_corners=False),
        align_corners=False,
    ),
    "Fourier": lambda x: torch.fft.ifft2(torch.fft.fft2(x)).real,
    "shuffled rows": lambda x: torch.cat([x[:, :, 8:], x[:, :, :8]], 2),
}  # fmt: skip


@pytest.mark.parametrize("name", UNKNOWN)
def test_operators_that_carry_values_elsewhere_are_flagged(name):
    model, geometry = geometry_of(positive([down(), Call(UNKNOWN[name]), conv(2, 2, 1)]))
    for layer in ("1", "2"):
        assert not geometry.layouts[layer].exact
    assert geometry.layouts["0"].exact
    result = am.explain(model, seeded_input((1, 32, 32)).numpy(), layer="1")
    assert result.provenance["placement"]["exact"] is False


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x @ torch.ones(16, 8).to(x),
        lambda x: x.flatten(2).mean(2),
        lambda x: x.mean(1).cumsum(1).sum((1, 2), keepdim=True).expand(1, 16, 16),
    ],
)
def test_mixed_axes_have_no_place(function):
    network = positive([down(), Call(function)])
    _, geometry = geometry_of(network)
    layout = geometry.layouts["1"]
    assert layout is None or not layout.exact or max(layout.grid) == 1


class Branches(nn.Module):
    """A skip connection and a deep branch that a transposed convolution shifts."""

    def __init__(self, join) -> None:
        super().__init__()
        self.skip = conv(1, 2, 3, 1, 1)
        self.deep = nn.Sequential(conv(2, 2, 3, 2, 1), up())
        self.join = Call(join)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skip = self.skip(x)
        return self.join((skip, self.deep(skip)))


JOINS = {
    "cat": lambda pair: torch.cat(pair, 1),
    "cat, deep first": lambda pair: torch.cat(pair[::-1], 1),
    "add": lambda pair: pair[0] + pair[1],
    "gate": lambda pair: pair[0] * torch.sigmoid(pair[1]),
    "where": lambda pair: torch.where(pair[1] > 0, pair[1], pair[0]),
    "maximum": lambda pair: torch.maximum(pair[1], pair[0]),
    "lerp": lambda pair: torch.lerp(pair[1], pair[0], 0.3),
    "stack": lambda pair: torch.stack(pair).sum(0),
}


@pytest.mark.parametrize("name", JOINS)
def test_the_branch_with_the_smaller_receptive_field_decides(name):
    _, geometry = geometry_of(Branches(JOINS[name]).double())
    deep, joined = geometry.layouts["deep"], geometry.layouts["join"]
    assert deep.offset == (-0.5, -0.5)
    assert joined.exact
    assert joined.offset == (0.0, 0.0)
    assert joined.stride == (1.0, 1.0)


@pytest.mark.parametrize("name", [name for name in ZOO if "net" in name.lower()])
def test_decoders_end_on_the_grid_of_the_input(name):
    network, inputs = build(name)
    geometry = am.load_model(network).geometry(inputs)
    if geometry.layout is None:
        pytest.skip("A classification network.")
    assert geometry.layout.stride == (1.0,) * (inputs.ndim - 2)
    assert geometry.layout.offset == (0.0,) * (inputs.ndim - 2)


class Tokens(nn.Module):
    """Patches of 4 as tokens, with leading class or register tokens, through attention."""

    def __init__(self, lead) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, 8, 4, stride=4)
        self.lead = nn.Parameter(torch.zeros(1, lead, 8)) if lead else None
        self.block = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        if self.lead is not None:
            tokens = torch.cat([self.lead, tokens], 1)
        tokens = self.norm(self.block(tokens))
        return self.head(tokens[:, 0] if self.lead is not None else tokens.mean(1))


@pytest.mark.parametrize("kind", ["eager", "traced", "scripted", "frozen traced"])
@pytest.mark.parametrize("lead", [0, 1, 5])
def test_tokens(lead, kind):
    network = seeded(lambda: Tokens(lead))
    inputs = seeded_input((1, 1, 24, 16))
    model = am.load_model(network if kind == "eager" else as_torchscript(network, inputs, kind))
    geometry = model.geometry(inputs)
    norm = [info.name for info in geometry.infos if info.shape == (1, 24 + lead, 8)][-1]
    layout = geometry.layouts[norm]
    assert layout.exact
    assert layout.grid == (6, 4)
    assert layout.stride == (4, 4)
    assert layout.offset == (1.5, 1.5)
    tokens = torch.arange((24 + lead) * 8.0).reshape(1, 24 + lead, 8)
    expected = tokens[:, lead:].transpose(1, 2).reshape(1, 8, 6, 4)
    assert torch.equal(layout.to_grid(tokens), expected)
    # where a class token alone is read, the last tokens have no gradient: an earlier one is chosen
    chosen = model.resolve_layers("auto", geometry)[0]
    assert (chosen == norm) == (lead == 0)
    trace = model.run(inputs, [chosen, norm])
    found = trace.gradients(torch.eye(3)[:1], [chosen, norm])
    peaks = [
        float(geometry.layouts[name].to_grid(gradient).abs().max())
        for name, gradient in zip([chosen, norm], found, strict=True)
    ]
    assert peaks[0] > 0
    assert (peaks[1] > 0) == (lead == 0)


def window_partition(x):
    """(B, H, W, C) to windows of 4, (B * windows, 16, C), as in Swin transformers."""
    b, h, w, c = x.shape
    x = x.view(b, h // 4, 4, w // 4, 4, c)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, 16, c)


def test_windows():
    network = nn.Sequential(
        conv(1, 6, 2, 2),
        Call(lambda x: window_partition(x.permute(0, 2, 3, 1).roll((-2, -2), (1, 2)))),
    ).double()
    _, geometry = geometry_of(network, (32, 16))
    layout = geometry.layouts["1"]
    assert layout.exact
    assert layout.grid == (16, 8)
    assert layout.stride == (2, 2)
    assert layout.offset == (4.5, 4.5)
    inputs = seeded_input((1, 1, 32, 16), torch.float64)
    expected = network[0](inputs).roll((-2, -2), (2, 3))
    assert torch.equal(layout.to_grid(network(inputs)), expected)


def chain(dims, layers):
    """Convolutions with equal positive weights, global pooling, two classes."""
    kind = {2: nn.Conv2d, 3: nn.Conv3d}[dims]
    parts = [
        layer if isinstance(layer, nn.Module) else kind(1, 1, *layer, bias=False)
        for layer in layers
    ]
    network = nn.Sequential(
        nn.Sequential(*parts), {2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}[dims](1),
        nn.Flatten(), nn.Linear(1, 2, bias=False),
    )  # fmt: skip
    for parameter in network.parameters():
        nn.init.constant_(parameter, 0.1)
    return network.eval()


OBLIQUE = np.array(
    [[1.1, -0.6, 0.2, 40.0], [0.4, 2.0, -0.5, -70.0], [-0.1, 0.5, 3.1, 12.0], [0, 0, 0, 1.0]]
)
CHAINS = {
    "one stride": (3, [(3, 2, 1)]),
    "two strides": (3, [(3, 2, 1), (3, 2, 1)]),
    "three strides": (3, [(3, 2, 1), (3, 2, 1), (3, 2, 1)]),
    "four strides": (2, [(3, 2, 1)] * 4),
    "pooling": (3, [(3, 1, 1), nn.AvgPool3d(2), (3, 1, 1), nn.MaxPool3d(2)]),
    "dilation": (3, [(3, 2, 2, 2), (3, 1, 2, 2)]),
    "even kernels": (3, [(4, 2, 1), (2, 2, 0)]),
    "valid": (3, [(3, 2), (3, 2)]),
    "patches": (3, [(4, 4), (3, 1, 1)]),
    "wide": (2, [(7, 2, 3), (5, 2, 2), (3, 2, 1)]),
}


def bright(shape, center):
    """One bright voxel; two side by side where the center lies between voxels."""
    array = np.zeros(shape, np.float32)
    corner = tuple(slice(int(np.floor(c)), int(np.ceil(c)) + 1) for c in center)
    array[corner] = 1.0
    return array[None]


def center_of(image):
    """Centroid of |map|, as a continuous voxel index."""
    weights = np.abs(image.array[0]).astype(np.float64)
    index = np.indices(weights.shape)
    return (index * weights).sum(axis=tuple(range(1, index.ndim))) / weights.sum()


@pytest.mark.parametrize("kind", ["eager", "traced", "scripted", "frozen scripted"])
@pytest.mark.parametrize("name", CHAINS)
def test_a_bright_voxel_is_where_the_map_says(name, kind):
    dims, layers = CHAINS[name]
    shape = (44, 40, 48)[:dims] if dims == 3 else (120, 104)
    network = chain(dims, layers)
    inputs = torch.zeros(1, 1, *shape)
    model = am.load_model(network if kind == "eager" else as_torchscript(network, inputs, kind))
    geometry = model.geometry(inputs)
    layer = model.resolve_layers("auto", geometry)[0]
    layout = geometry.layouts[layer]
    assert layout.exact
    middle = np.array(layout.grid) // 2
    center = np.array(layout.offset) + np.array(layout.stride) * middle
    image = am.Image(bright(shape, center), OBLIQUE)
    result = am.explain(model, image, "hires_cam", layer, target=0)
    assert result.image.array.shape == image.array.shape
    np.testing.assert_array_equal(result.image.affine, OBLIQUE)
    assert np.abs(center_of(result.image) - center).max() < 0.35
    # the map on the layer's own grid says the same place in the world
    raw = result.raw.grid.to_world(center_of(result.raw))
    assert (
        np.linalg.norm(np.linalg.solve(OBLIQUE[:3, :3], raw - image.grid.to_world(center))) < 0.35
    )


SPECS = {
    "as it is": {},
    "reversed axes": {"axis_order": "kji"},
    "reoriented": {"orientation": "LPS"},
    "permuted": {"orientation": "SAR", "axis_order": "kji"},
    "resampled": {"orientation": "RAS", "spacing": [2.0, 2.0, 2.0]},
    "fixed size": {"input_size": {"kind": "fixed", "shape": [32, 48, 40]}},
    "padded": {"input_size": {"kind": "multiple_of", "factor": 32}},
    "all": {
        "orientation": "PIR", "axis_order": "kji", "spacing": [1.5, 2.0, 2.5],
        "input_size": {"kind": "fixed", "shape": [64, 48, 56], "fit": "pad_crop"},
    },
}  # fmt: skip


@pytest.mark.parametrize("layers", ["one stride", "two strides", "pooling", "even kernels"])
@pytest.mark.parametrize("name", SPECS)
def test_specifications_do_not_move_the_map(name, layers):
    """A bright ball, as wide as a few features, in the middle of an oblique scan."""
    dims, layers = CHAINS[layers]
    shape, center = (44, 40, 28), np.array([21.0, 19.0, 13.0])
    distance = np.indices(shape) - center[:, None, None, None]
    distance = np.einsum("ij,j...->i...", OBLIQUE[:3, :3], distance)
    ball = np.exp(-0.5 * (distance**2).sum(axis=0) / 6.0**2).astype(np.float32)
    ball[ball < 0.02] = 0
    model = am.load_model(chain(dims, layers), SPECS[name])
    result = am.explain(model, am.Image(ball[None], OBLIQUE), "hires_cam", target=0)
    assert np.abs(center_of(result.image) - center).max() < 0.35
