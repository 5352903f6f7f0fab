"""``escsr completion``: scripts that let shells complete commands, options and names.

All words are in the script. A script that called ``escsr`` at each key press, as Typer's does,
would import PyTorch first, which takes seconds.
"""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

_PROGRAM = "escsr"


@dataclass(frozen=True)
class _Word:
    """An option of a command: its spellings, whether it takes a value, and which values."""

    names: tuple[str, ...]
    about: str
    takes_value: bool
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Command:
    about: str
    options: tuple[_Word, ...]
    arguments: tuple[str, ...]


def completion(
    context: typer.Context,
    shell: Annotated[str, typer.Argument(metavar="bash|zsh|fish", help="The shell.")],
) -> None:
    """Print the script that lets a shell complete commands, options and model names.

    bash: escsr completion bash > ~/.local/share/bash-completion/completions/escsr

    zsh: add to ~/.zshrc, after compinit: source <(escsr completion zsh)

    fish: escsr completion fish > ~/.config/fish/completions/escsr.fish
    """
    if shell not in _WRITERS:
        raise ValueError(f"completion is available for {', '.join(_WRITERS)}, not for {shell!r}")
    typer.echo(_WRITERS[shell](_commands(context)))


def _commands(context: typer.Context) -> dict[str, _Command]:
    group: Any = context.find_root().command
    values, arguments = _values(), _arguments()
    return {
        name: _Command(
            about=command.get_short_help_str(80),
            options=tuple(
                _Word(
                    names=tuple(parameter.opts),
                    about=str(parameter.help or ""),
                    takes_value=not parameter.is_flag,
                    values=values.get(f"{name} {parameter.opts[0]}")
                    or values.get(parameter.opts[0], ()),
                )
                for parameter in command.params
                if parameter.param_type_name == "option"
            )
            + (_Word(("--help", "-h"), "Show the help.", takes_value=False),),
            arguments=arguments.get(name, ()),
        )
        for name, command in group.commands.items()
    }


def _values() -> dict[str, tuple[str, ...]]:
    """Values of options, by option, or by command and option where commands differ."""
    from escsr.build import list_backbones
    from escsr.degradations import list_presets
    from escsr.evaluation import PROTOCOLS

    presets = tuple(list_presets())
    return {
        "--model": _models(),
        "upscale --model": (*_models(), "auto"),
        "--device": ("auto", "cpu", "cuda", "mps"),
        "--precision": ("fp32", "bf16", "fp16", "auto"),
        "--engine": ("torch", "onnx", "ray"),
        "--tiles": ("exact", "fast"),
        "--existing": ("overwrite", "skip", "refuse"),
        "--chroma": ("444", "420"),
        "--codec": ("h264", "hevc", "vp9", "av1", "ffv1"),
        "--backbone": tuple(list_backbones()),
        "--degradation": presets,
        "degrade --preset": presets,
        "--protocol": tuple(PROTOCOLS),
        "export --format": ("onnx", "pt2"),
    }


def _arguments() -> dict[str, tuple[str, ...]]:
    """Names that commands accept besides files."""
    from escsr.models import published
    from escsr.recipe import list_recipes

    return {
        "info": _models(),
        "export": _models(),
        "fetch": tuple(published()),
        "train": tuple(list_recipes()),
        "completion": tuple(_WRITERS),
    }


def _models() -> tuple[str, ...]:
    from escsr.models import ALIASES, embedded, published

    return (*ALIASES, *embedded(), *published())


def _bash(commands: Mapping[str, _Command]) -> str:
    cases, options, arguments = [], [], []
    for name, command in commands.items():
        by_values: dict[tuple[str, ...], list[str]] = {}  # options without values: files
        for word in filter(lambda word: word.takes_value, command.options):
            patterns = by_values.setdefault(word.values, [])
            patterns += (f"{name}:{spelling}" for spelling in word.names)
        for values, patterns in by_values.items():
            cases.append(f"    {'|'.join(patterns)}) words={shlex.quote(' '.join(values))} ;;")
        spellings = " ".join(spelling for word in command.options for spelling in word.names)
        options.append(f"    {name}:-*) words={shlex.quote(spellings)} ;;")
        arguments.append(f"    {name}:*) words={shlex.quote(' '.join(command.arguments))} ;;")
    newline = "\n"
    return f"""# bash completion of {_PROGRAM}
_{_PROGRAM}() {{
  local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}} command= words= i
  for ((i = 1; i < COMP_CWORD; i++)); do
    if [[ ${{COMP_WORDS[i]}} != -* ]]; then command=${{COMP_WORDS[i]}}; break; fi
  done
  case "$command:$prev" in
{newline.join(cases)}
    *) case "$command:$cur" in
    :-*) words='--version --help -h' ;;
    :*) words={shlex.quote(" ".join(commands))} ;;
{newline.join(options)}
{newline.join(arguments)}
    esac ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}}
complete -o default -o bashdefault -F _{_PROGRAM} {_PROGRAM}"""


def _zsh(commands: Mapping[str, _Command]) -> str:
    return f"autoload -U +X bashcompinit && bashcompinit\n{_bash(commands)}"


def _fish(commands: Mapping[str, _Command]) -> str:
    lines = [f"# fish completion of {_PROGRAM}"]

    def add(condition: str, *words: str, about: str = "") -> None:
        described = ["-d", about] if about else []
        lines.append(shlex.join(["complete", "-c", _PROGRAM, "-n", condition, *words, *described]))

    for name, command in commands.items():
        add("__fish_use_subcommand", "-f", "-a", name, about=command.about)
        inside = f"__fish_seen_subcommand_from {name}"
        for word in command.options:
            add(inside, *_fish_option(word), about=word.about)
        if command.arguments:
            add(inside, "-a", " ".join(command.arguments))
    return "\n".join(lines)


def _fish_option(word: _Word) -> Sequence[str]:
    spelled = [
        part
        for name in word.names
        for part in (("-l", name[2:]) if name.startswith("--") else ("-s", name[1:]))
    ]
    if word.values:
        return [*spelled, "-x" if word.names[0] != "--model" else "-r", "-a", " ".join(word.values)]
    return [*spelled, "-r"] if word.takes_value else spelled


_WRITERS: Mapping[str, Callable[[Mapping[str, _Command]], str]] = {
    "bash": _bash,
    "zsh": _zsh,
    "fish": _fish,
}
