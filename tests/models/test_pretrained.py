"""Networks as folders and as repositories.

Oracle: the picture and the configuration of the network that was saved; a hub on this machine that
keeps what it is sent.
"""

import json
import re

import pytest
import torch

import escsr
from escsr.models import embedded
from escsr.models.hub import parse
from tests.forking import run_python
from tests.models.hub import hub_at_hand


def picture_of(model):
    lq = torch.linspace(0, 1, 3 * 6 * 7).reshape(1, 3, 6, 7)
    with torch.inference_mode():
        return model(lq) if model.scale else model(lq, scale=2)


@pytest.mark.parametrize("name", ["esc_tiny_x4", "default"])
def test_a_folder_gives_the_same_network(name, tmp_path):
    model = escsr.load(name)
    model.save_pretrained(tmp_path / "made" / "mine", license="apache-2.0")
    folder = tmp_path / "made" / "mine"
    assert {p.name for p in folder.iterdir()} == {"model.safetensors", "config.json", "README.md"}
    again = escsr.SuperResolver.from_pretrained(folder)
    assert torch.equal(picture_of(again), picture_of(model))
    assert again.config == model.config
    assert again.trained
    assert not again.training
    assert again.facts["license"] == "apache-2.0"
    assert again.facts["steps"] == model.facts["steps"]
    assert torch.equal(picture_of(escsr.load(folder / "model.safetensors")), picture_of(model))


def test_config_and_card_say_what_it_is(tmp_path):
    model = escsr.load("esc_tiny_x4")
    model.save_pretrained(tmp_path, license="apache-2.0")
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["backbone"] == "esc_tiny"
    assert config["head_args"]["scale"] == 4
    assert (config["scale"], config["parameters"]) == (4, 102_572)
    card = (tmp_path / "README.md").read_text()
    front = re.match(r"---\n(.*?)\n---\n", card, flags=re.DOTALL).group(1)
    huggingface_hub = pytest.importorskip("huggingface_hub")
    data = huggingface_hub.ModelCard(card).data.to_dict()  # as the Hub reads it
    assert data["library_name"] == "escsr"
    assert data["pipeline_tag"] == "image-to-image"
    assert data["license"] == "apache-2.0"
    assert "super-resolution" in data["tags"]
    assert "license: apache-2.0" in front
    assert "| parameters | 102 572 |" in card


def test_a_card_that_is_there_stays(tmp_path):
    (tmp_path / "README.md").write_text("mine")
    model = escsr.build("esc_tiny", scale=2)
    model.save_pretrained(tmp_path)
    assert (tmp_path / "README.md").read_text() == "mine"
    model.save_pretrained(tmp_path, card="other")
    assert (tmp_path / "README.md").read_text() == "other"
    assert not escsr.SuperResolver.from_pretrained(tmp_path).trained


def test_files_of_two_networks_are_refused(tmp_path):
    escsr.build("esc_tiny", scale=2).save_pretrained(tmp_path / "a")
    escsr.build("esc_tiny", scale=4).save_pretrained(tmp_path / "b")
    (tmp_path / "a" / "config.json").replace(tmp_path / "b" / "config.json")
    with pytest.raises(ValueError, match="head_args is .*'scale': 2.*, not .*'scale': 4"):
        escsr.SuperResolver.from_pretrained(tmp_path / "b")
    (tmp_path / "b" / "config.json").write_text("[1]")
    with pytest.raises(ValueError, match="no description of a network"):
        escsr.SuperResolver.from_pretrained(tmp_path / "b")
    with pytest.raises(FileNotFoundError, match="no folder 'nowhere'.*user/repo"):
        escsr.SuperResolver.from_pretrained("nowhere")
    with pytest.raises(ValueError, match="has no revision 'v1'"):
        escsr.SuperResolver.from_pretrained(tmp_path / "b", revision="v1")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hf://a/b", ("a/b", None, "model.safetensors")),
        ("hf://a/b/c.pth", ("a/b", None, "c.pth")),
        ("hf://a/b.c/d/e-1.pth", ("a/b.c", None, "d/e-1.pth")),
        ("hf://a/b@v1", ("a/b", "v1", "model.safetensors")),
        ("hf://a/b@v1/x.pth", ("a/b", "v1", "x.pth")),
    ],
)
def test_addresses(text, expected):
    assert parse(text) == expected


@pytest.mark.parametrize("text", ["hf://", "hf://a", "hf://a/", "hf:///b/c", "hf://a/b/"])
def test_what_is_no_address(text):
    with pytest.raises(ValueError, match="an address on the hub is hf://user/repo"):
        escsr.load(text)


PUSH = """
import torch, escsr
model = escsr.load("esc_tiny_x4")
print(model.push_to_hub("someone/network", license="mit"))
again = escsr.SuperResolver.from_pretrained("someone/network")
lq = torch.rand(1, 3, 5, 6)
with torch.inference_mode():
    assert torch.equal(again(lq), model(lq))
    assert torch.equal(escsr.load("hf://someone/network")(lq), model(lq))
    assert torch.equal(escsr.load("hf://someone/other/x2.pth")(lq), escsr.load("esc_tiny_x2")(lq))
model.push_to_hub("someone/network")
"""
ASK = """
import sys, escsr
for name in sys.argv[1:]:
    try:
        escsr.load(name)
        print("opened")
    except escsr.models.NotFetchedError as error:
        print(error)
"""


def test_the_hub(tmp_path):
    pytest.importorskip("huggingface_hub")
    with hub_at_hand() as hub:
        environment = {
            "HF_ENDPOINT": hub.address,
            "HF_HOME": str(tmp_path / "hf"),
            "HF_TOKEN": "hf_none",
            "NO_PROXY": "127.0.0.1",
            "ESCSR_CACHE": str(tmp_path / "cache"),
        }
        hub.repos["someone/other"] = {"x2.pth": embedded()["esc_tiny_x2"].read_bytes()}
        pushed = run_python("-c", PUSH, cwd=tmp_path, environment=environment)
        assert pushed.returncode == 0, pushed.stderr
        assert pushed.stdout.startswith(f"{hub.address}/someone/network/commit/")
        files = hub.repos["someone/network"]
        assert set(files) == {"model.safetensors", "config.json", "README.md"}
        card = files["README.md"].decode()
        assert 'model="hf://someone/network"' in card
        assert "license: mit" in card  # of the first push: a card that is there stays

        def ask(*names, **more):
            asked = run_python("-c", ASK, *names, cwd=tmp_path, environment={**environment, **more})
            assert asked.returncode == 0, asked.stderr
            return asked.stdout.splitlines()

        wrong = ask("hf://someone/none", "hf://someone/other", "hf://someone/other@v9/x2.pth")
        assert "there is no someone/none, or it is private" in wrong[0]
        assert "has no file 'model.safetensors'; name one: hf://someone/other/FILE" in wrong[1]
        assert "has no revision 'v9'" in wrong[2]

        before = len(hub.requests)
        push = "import escsr; escsr.load('default').push_to_hub('someone/network')"
        refused = run_python(
            "-c", push, cwd=tmp_path, environment={**environment, "ESCSR_OFFLINE": "1"}
        )
        assert "someone/network cannot be written: ESCSR_OFFLINE is set" in refused.stderr
        here, missing = ask("hf://someone/network", "hf://someone/third", ESCSR_OFFLINE="1")
        assert here == "opened"
        assert "hf://someone/third is not on this machine, and ESCSR_OFFLINE is set" in missing
        assert len(hub.requests) == before
