"""TorchScript that would do more than compute."""

import zipfile

import pytest
import torch
from torch import nn

import attention_maps as am
from attention_maps.errors import ConsentError
from attention_maps.models.script_code import check_code


class Stateful(nn.Module):
    """Runs code when it is loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.place = ""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.weight

    @torch.jit.export
    def __getstate__(self) -> tuple[torch.Tensor, str, bool]:
        return (self.weight, self.place, self.training)

    @torch.jit.export
    def __setstate__(self, state: tuple[torch.Tensor, str, bool]) -> None:
        torch.save(state[0], state[1])
        self.weight = state[0]
        self.place = state[1]
        self.training = state[2]


class Plain(nn.Module):
    """With names that only look like it."""

    def __init__(self) -> None:
        super().__init__()
        self.saved = nn.Sequential(nn.Conv3d(1, 2, 1), nn.ReLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.saved(x)


@pytest.fixture
def plain(tmp_path):
    path = tmp_path / "plain.pt"
    torch.jit.script(Plain().eval()).save(str(path))
    return path


def with_code(path, old, new):
    """The same archive with something else in its code."""
    changed = path.with_name("changed.pt")
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(changed, "w") as target:
        for name in archive.namelist():
            content = archive.read(name)
            if name.endswith(".py"):
                content = content.replace(old.encode(), new.encode())
            target.writestr(name, content)
    return changed


def test_loading_writes_no_file_without_consent(tmp_path):
    written = tmp_path / "written"
    module = Stateful()
    module.place = str(written)
    path = tmp_path / "stateful.pt"
    torch.jit.script(module).save(str(path))
    with pytest.raises(ConsentError, match=r"more than compute.*'save'.*trust=True"):
        am.load_model(path)
    assert not written.exists()
    am.load_model(path, trust=True)
    assert written.exists()


def test_a_bundle_s_program_writes_no_file_either(tmp_path):
    written = tmp_path / "written"
    module = Stateful()
    module.place = str(written)
    path = tmp_path / "bundle.ts"
    about = '{"network_data_format": {}}'
    torch.jit.save(torch.jit.script(module), str(path), _extra_files={"metadata.json": about})
    with pytest.raises(ConsentError, match="more than compute"):
        am.load_model(path)
    assert not written.exists()


@pytest.mark.parametrize(
    "call",
    [
        'ops.aten.save(x, "{file}")',
        'torch . save (x, "{file}")',
        'getattr(torch, "save")(x, "{file}")',
        'getattr((torch), "\\163ave")(x, "{file}")',
        'torch.from_file("{file}", True, 4)',
        'ops.image.write_file("{file}", x)',
    ],
)
def test_every_way_to_say_it(plain, tmp_path, call):
    line = "    return "
    text = call.replace("{file}", str(tmp_path / "written"))
    changed = with_code(plain, line, f"    {text}\n{line}")
    with pytest.raises(ConsentError, match="more than compute"):
        check_code(changed, trust=False)
    check_code(changed, trust=True)


def test_what_computes_needs_no_consent(plain):
    check_code(plain, trust=False)
    assert am.load_model(plain).layers()
