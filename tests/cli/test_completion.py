"""Shell completion. Oracles: the shells themselves, and the commands and options that there are."""

import shutil
import subprocess
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

import escsr
from escsr.cli.main import app
from escsr.models import ALIASES, published

COMPLETE = {
    "bash": """
        source {script}
        COMP_WORDS=({words}) COMP_CWORD={last}
        _escsr
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """,
    # Without a terminal zsh completes nothing: the function is called as bashcompinit calls it,
    # and what it offers is filtered below, as zsh's completion does.
    "zsh": """
        autoload -U compinit && compinit -u -D
        source {script}
        emulate sh
        COMP_WORDS=({words}) COMP_CWORD={last}
        _escsr
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """,
    "fish": "source {script}; complete -C '{line}'",
}


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("completion")
    for shell in COMPLETE:
        done = CliRunner().invoke(app, ["completion", shell])
        assert done.exit_code == 0, done.output
        (folder / shell).write_text(done.stdout, encoding="utf-8")
    return {shell: folder / shell for shell in COMPLETE}


def complete(shell: str, script: Path, line: str) -> set[str]:
    """What a shell offers for the last word of a line."""
    words = [f"'{word}'" for word in line.split(" ")]
    code = COMPLETE[shell].format(
        script=script, line=line, words=" ".join(words), last=len(words) - 1
    )
    home = {"PATH": "/usr/bin:/bin", "HOME": str(script.parent), "LC_ALL": "C.UTF-8"}
    empty = script.parent / "empty"  # fish offers the files that a model may be, too
    empty.mkdir(exist_ok=True)
    run = subprocess.run(
        [shell, "-c", code], capture_output=True, text=True, env=home, cwd=empty, check=True
    )
    assert run.stderr == ""
    offered = {answer.partition("\t")[0] for answer in run.stdout.splitlines()}
    last = line.rpartition(" ")[2] if shell == "zsh" else ""
    return {word for word in offered if word.startswith(last)}


@pytest.mark.parametrize("shell", COMPLETE)
def test_shells_complete(shell: str, scripts: dict[str, Path]) -> None:
    if shutil.which(shell, path="/usr/bin:/bin") is None:
        pytest.skip(f"{shell} is not installed")
    script = scripts[shell]
    commands = get_command(app).commands
    assert complete(shell, script, "escsr ") == set(commands)
    assert complete(shell, script, "escsr ev") == {"evaluate"}
    options = {f"--{name.replace('_', '-')}" for name in ("sheet", "seed", "scale")}
    assert complete(shell, script, "escsr degrade in -o out --s") == options
    assert complete(shell, script, "escsr upscale --tiles ") == {"exact", "fast"}
    assert complete(shell, script, "escsr upscale a.jpg -m re") == {"real", "restore"}
    models = complete(shell, script, "escsr upscale a.jpg --model ")
    assert models == {*ALIASES, "auto", *escsr.list_models(), *published()}
    assert complete(shell, script, "escsr train classic_t") == {"classic_tiny", "classic_tiny_x4"}


def test_scripts_know_every_option(scripts: dict[str, Path]) -> None:
    bash, fish = (
        scripts[shell].read_text(encoding="utf-8").splitlines() for shell in ("bash", "fish")
    )
    for name, command in get_command(app).commands.items():
        (line,) = [line for line in bash if line.startswith(f"    {name}:-*)")]
        known = " ".join(line for line in fish if f"from {name}'" in line)
        for parameter in (p for p in command.params if p.param_type_name == "option"):
            for option in parameter.opts:
                assert f" {option} " in line.replace("'", " ")
                assert f" {'-l' if option[:2] == '--' else '-s'} {option.lstrip('-')} " in known


def test_an_unknown_shell_is_refused() -> None:
    done = CliRunner().invoke(app, ["completion", "tcsh"])
    assert "bash, zsh, fish, not for 'tcsh'" in str(done.exception)
