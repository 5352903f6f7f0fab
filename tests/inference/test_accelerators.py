"""What is done for GPUs, on a CPU that stands in for one. Oracle: the way of a CPU, to the bit."""

import shutil
from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest
import torch

import escsr
from escsr import devices
from escsr.inference import transfers
from escsr.inference.stores import RowStore
from escsr.inference.transfers import bytes_of, floats_on
from escsr.pixels import from_float, to_tensor

CPU = torch.device("cpu")
SMALL = {"num_blocks": 1, "conv_blocks": 1, "window_size": 8}


@pytest.fixture
def model() -> escsr.SuperResolver:
    torch.manual_seed(0)
    return escsr.build("esc_tiny", scale=2, backbone_args=SMALL).eval()


def noise(*shape: int, kind: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, np.iinfo(kind).max, shape, kind, endpoint=True)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(5, 7, 3), (5, 7)])
def test_integers_become_the_floats_that_a_cpu_makes(kind: type, shape: tuple[int, ...]) -> None:
    samples = noise(*shape, kind=kind)
    assert torch.equal(floats_on(samples, CPU)[0], to_tensor(samples))


def test_floats_become_the_bytes_that_a_cpu_makes() -> None:
    levels = torch.arange(-10, 2600) / 10 / 255  # halves and what lies beyond among them
    planes = levels.view(3, -1, 10)
    assert np.array_equal(bytes_of(planes).numpy(), from_float(planes.numpy()))


@pytest.mark.parametrize(
    ("picture", "options"),
    [
        (noise(9, 14, 3), {}),
        (noise(9, 14), {}),
        (noise(9, 14, 4), {}),
        (noise(9, 14, 3, kind=np.uint16), {}),
        (noise(9, 14, 3), {"ensemble": True}),
        (noise(9, 14, 3), {"size": (17, 30)}),
        (noise(400, 64, 3), {"memory": 0.6}),
    ],
    ids=["rgb", "gray", "alpha", "16 bits", "ensemble", "resized", "bands"],
)
def test_pictures_are_those_of_a_cpu(
    model: escsr.SuperResolver,
    picture: np.ndarray,
    options: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    size = {"size": options.pop("size")} if "size" in options else {}
    if "memory" in options:  # a share of what the whole picture takes
        whole = escsr.Upscaler(model, device="cpu").plan(picture.shape[:2], scale=2).memory
        options["memory"] = int(options["memory"] * whole)
    session = escsr.Upscaler(model, device="cpu", **options)
    if "memory" in options:
        assert session.plan(picture.shape[:2], scale=2).way.kind == "bands"
    expected = session(picture, notify=lambda text: None, **size)
    travelled = []
    monkeypatch.setattr(transfers, "is_host", lambda device: False)
    made_there = transfers.floats_on
    monkeypatch.setattr(
        "escsr.inference.sources.floats_on",
        lambda samples, device: travelled.append(samples.dtype) or made_there(samples, device),
    )
    found = session(picture, notify=lambda text: None, **size)
    assert np.array_equal(found, expected)
    assert set(travelled) == {picture.dtype}


def test_only_the_program_waits_for_rows_that_are_on_their_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waited = []

    class Stream:
        def synchronize(self) -> None:
            waited.append(True)

    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: Stream())
    store = RowStore((1, 2, 6, 3), torch.float32)
    rows = torch.rand(1, 2, 6, 3)
    store.write(0, rows)
    store._arriving = CPU  # the device that the rows come from
    assert torch.equal(store.read_on(1, 4, CPU), rows[:, :, 1:4])
    assert not waited
    assert torch.equal(store.read(1, 4), rows[:, :, 1:4])
    assert torch.equal(store.read_columns(0, 2), rows[..., :2])
    assert waited == [True]


def test_the_precision_that_a_device_is_good_at(
    model: escsr.SuperResolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert escsr.Upscaler(model, device="cpu", precision="auto").precision == "fp32"
    for able, precision in ((True, "bf16"), (False, "fp32")):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda able=able, **_: able)
        assert devices.settle_precision("auto", torch.device("cuda")) == precision
    with pytest.raises(ValueError, match="unknown precision 'half'"):
        escsr.Upscaler(model, device="cpu", precision="half")


def test_dysample_without_borders_to_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model = escsr.build("esc_tiny", head="dysample", scale=2, backbone_args=SMALL).eval()
    for parameter in model.head.parameters():
        parameter.data.normal_()  # places far from where they began, beyond the border as well
    lq = torch.rand(1, 3, 9, 14)
    with torch.no_grad():
        expected = model(lq)
        monkeypatch.setattr("escsr.heads.dysample._repeats_borders", lambda device: False)
        difference = (model(lq) - expected).abs().max()
    assert difference < 1e-5 * expected.abs().max()


# ------------------------------------------------------------------ compiled


@pytest.fixture
def fresh_compiler() -> Iterator[None]:
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def test_what_cannot_be_compiled_runs_as_it_is(
    model: escsr.SuperResolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch._dynamo.exc import TorchDynamoException

    def compile_(network: object, **options: object) -> object:
        def run(*args: object, **more: object) -> None:
            raise TorchDynamoException("no compiler\nis here")

        return run

    monkeypatch.setattr(torch, "compile", compile_)
    picture, notices = noise(9, 14, 3), []
    session = escsr.Upscaler(model, device="cpu", compile=True)
    expected = escsr.Upscaler(model, device="cpu")(picture, notify=lambda text: None)
    for _ in range(2):
        notices.clear()
        assert np.array_equal(session(picture, notify=notices.append), expected)
        assert notices[-1].endswith("runs as it is: no compiler")
    with pytest.raises(ValueError, match="compile=True is for engine='torch'"):
        escsr.Upscaler(model, engine="onnx", compile=True)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.usefixtures("fresh_compiler")
def test_one_program_serves_many_sizes(
    model: escsr.SuperResolver, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if backend == "inductor" and shutil.which("g++") is None and shutil.which("clang++") is None:
        pytest.skip("it needs a C++ compiler on a CPU")
    from torch._dynamo.utils import counters

    plain_compile = torch.compile
    monkeypatch.setattr(torch, "compile", partial(plain_compile, backend=backend))
    session = escsr.Upscaler(model, device="cpu", compile=True)
    plain = escsr.Upscaler(model, device="cpu")
    made = []
    for height, width in ((37, 45), (41, 53), (50, 62), (45, 38)):
        picture = torch.rand(3, height, width, generator=torch.Generator().manual_seed(height))
        with torch.no_grad():
            difference = (session(picture) - plain(picture)).abs().max()
        assert difference < 2e-5
        made.append(counters["stats"]["unique_graphs"])
    assert made[0] == made[-1]
