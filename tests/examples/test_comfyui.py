"""The custom nodes for ComfyUI, loaded as ComfyUI does.

Oracle: `escsr.upscale`; what ComfyUI's bar, interruption and memory management were told, by
stand-ins for the few of its modules that the nodes import; spandrel for the stock nodes.
"""

import importlib.util
import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch

import escsr
from escsr.models import ALIASES, embedded, published
from tests.models.conftest import CONTENT, NAME, publish, server  # noqa: F401 - fixtures

spandrel = pytest.importorskip("spandrel")

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "comfyui"


class InterruptedError_(Exception):  # noqa: N801, N818 - ComfyUI's InterruptProcessingException
    pass


@pytest.fixture
def comfy(monkeypatch, tmp_path):
    """Stand-ins for ComfyUI: what the nodes ask of it, and a folder with one model."""
    told = SimpleNamespace(steps=[], freed=[], interrupt_at=None)

    class ProgressBar:
        def __init__(self, total):
            assert total > 0

        def update_absolute(self, value, total=None, preview=None):
            assert 0 <= value <= total
            told.steps.append(value / total)

    def interrupted():
        return told.interrupt_at is not None and len(told.steps) >= told.interrupt_at

    def throw():
        if interrupted():
            raise InterruptedError_

    management = ModuleType("comfy.model_management")
    management.get_torch_device = lambda: torch.device("cpu")
    management.intermediate_device = lambda: torch.device("cpu")
    management.free_memory = lambda memory, device: told.freed.append((memory, device))
    management.processing_interrupted = interrupted
    management.throw_exception_if_processing_interrupted = throw
    utils = ModuleType("comfy.utils")
    utils.ProgressBar = ProgressBar
    package = ModuleType("comfy")
    package.model_management, package.utils = management, utils
    (tmp_path / "ESC_mine.safetensors").write_bytes(CONTENT)
    paths = ModuleType("folder_paths")
    paths.get_filename_list = lambda kind: ["ESC_mine.safetensors"]
    paths.get_full_path = lambda kind, name: str(tmp_path / name)
    for module in (package, management, utils, paths):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return told


@pytest.fixture
def nodes(comfy, monkeypatch):
    """The package, imported under a name of ComfyUI's choice; spandrel as before afterwards."""
    main = spandrel.MAIN_REGISTRY
    for name, value in vars(main).items():
        monkeypatch.setattr(main, name, value)
    name = "custom_nodes_comfyui_escsr"
    spec = importlib.util.spec_from_file_location(name, FOLDER / "__init__.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    yield module
    sys.modules.pop(f"{name}.nodes")


def run(nodes, name, **inputs):
    """Call a node as ComfyUI does: every input that it asks for, checked against its list."""
    node = nodes.NODE_CLASS_MAPPINGS[name]
    wanted = node.INPUT_TYPES()["required"]
    values = {}
    for key, (kind, *options) in wanted.items():
        default = options[0].get("default") if options else None
        values[key] = inputs.pop(key, kind[0] if isinstance(kind, list) else default)
        if isinstance(kind, list):
            assert values[key] in kind
    assert not inputs
    result = getattr(node(), node.FUNCTION)(**values)
    assert len(result) == len(node.RETURN_TYPES)
    return result[0]


IMAGE = torch.rand(2, 9, 14, 3, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("inputs", "options"),
    [
        ({"scale": 2.5}, {"scale": 2.5}),
        ({"width": 35}, {"width": 35}),
        ({"height": 20}, {"height": 20}),
        ({"width": 35, "height": 31}, {"size": (31, 35)}),
        ({"scale": 2.0, "tiles": "fast"}, {"scale": 2}),
    ],
    ids=str,
)
def test_pictures_are_those_of_escsr(nodes, comfy, inputs, options):
    model = run(nodes, "ESCLoad", model="default")
    result = run(nodes, "ESCUpscale", model=model, image=IMAGE, **inputs)
    expected = escsr.upscale(IMAGE.movedim(-1, 1), notify=lambda _: None, **options)
    assert result.shape[-1] == 3
    assert torch.equal(result.movedim(-1, 1), expected)
    assert comfy.steps == sorted(comfy.steps)
    assert comfy.steps[-1] == 1
    ((memory, device),) = comfy.freed
    assert memory >= result.nbytes
    assert device == torch.device("cpu")


def test_every_model_is_offered(nodes):
    (offered, _) = nodes.NODE_CLASS_MAPPINGS["ESCLoad"].INPUT_TYPES()["required"]["model"]
    assert offered == [*ALIASES, *embedded(), *published(), "ESC_mine.safetensors"]
    model = run(nodes, "ESCLoad", model="ESC_mine.safetensors")
    assert model.scale == 4
    changed = nodes.NODE_CLASS_MAPPINGS["ESCLoad"].IS_CHANGED
    assert changed("ESC_mine.safetensors") > 0
    assert set(nodes.NODE_DISPLAY_NAME_MAPPINGS) == set(nodes.NODE_CLASS_MAPPINGS)


def test_published_models_are_fetched_with_the_bar(comfy, server, publish, request):  # noqa: F811
    publish()
    nodes = request.getfixturevalue("nodes")
    assert nodes.NODE_CLASS_MAPPINGS["ESCLoad"].IS_CHANGED(NAME) == 0
    assert run(nodes, "ESCLoad", model=NAME).scale == 4
    assert comfy.steps[-1] == 1
    assert len(server.requests) == 1
    assert nodes.NODE_CLASS_MAPPINGS["ESCLoad"].IS_CHANGED(NAME) > 0


def test_interruption_ends_the_work(nodes, comfy):
    model = run(nodes, "ESCLoad", model="esc_tiny_x2")
    comfy.interrupt_at = 2
    with pytest.raises(InterruptedError_):
        run(nodes, "ESCUpscale", model=model, image=IMAGE, scale=2.0)
    assert comfy.steps[-1] < 1


def test_four_channels_are_refused(nodes):
    model = run(nodes, "ESCLoad", model="esc_tiny_x2")
    with pytest.raises(ValueError, match="RGB, not 4 channels"):
        run(nodes, "ESCUpscale", model=model, image=torch.rand(1, 4, 4, 4))


def test_values_that_overshoot_are_clipped(nodes):
    model = run(nodes, "ESCLoad", model="esc_tiny_x2")
    inputs = {"model": model, "scale": 2.0}
    result = run(nodes, "ESCUpscale", image=IMAGE * 1.2 - 0.1, **inputs)
    expected = run(nodes, "ESCUpscale", image=(IMAGE * 1.2 - 0.1).clamp(0, 1), **inputs)
    assert torch.equal(result, expected)


def test_the_stock_loader_opens_our_files(nodes, tmp_path):
    """As ComfyUI's loader does it: tensors read by safetensors, then spandrel; tiles of 512."""
    path = tmp_path / "ESC_mine.safetensors"
    tensors = spandrel.ModelLoader().load_state_dict_from_file(path)
    model = spandrel.ModelLoader().load_from_state_dict(tensors).eval()
    assert isinstance(model, spandrel.ImageModelDescriptor)
    lq = IMAGE.movedim(-1, 1)
    with torch.inference_mode():
        expected = escsr.load(path)(lq).clamp(0, 1)
    assert (model(lq) - expected).abs().max() < 1e-5


def test_the_package_can_be_published_and_installed():
    described = tomllib.loads((FOLDER / "pyproject.toml").read_text())
    assert set(described["tool"]["comfy"]) >= {"PublisherId", "DisplayName"}
    needed = (FOLDER / "requirements.txt").read_text().split()
    assert needed == described["project"]["dependencies"]
    for requirement in needed:
        assert importlib.util.find_spec(re.match(r"\w+", requirement).group())
