"""The program ``escsr``: collects the commands and turns errors into one line."""

import os
import sys

import typer

from escsr.cli.app import app as app_command
from escsr.cli.bench import bench
from escsr.cli.completion import completion
from escsr.cli.console import make_console, protect_streams
from escsr.cli.degrade import degrade
from escsr.cli.doctor import doctor
from escsr.cli.evaluate import evaluate
from escsr.cli.export import export
from escsr.cli.fetch import fetch
from escsr.cli.info import info, list_names
from escsr.cli.train import train
from escsr.cli.upscale import upscale
from escsr.version import __version__

app = typer.Typer(
    add_completion=False,  # escsr completion is faster: it runs no Python at each key press
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Image super-resolution with the ESC family of networks.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(upscale)
app.command()(train)
app.command()(evaluate)
app.command()(degrade)
app.command()(bench)
app.command()(export)
app.command()(info)
app.command()(fetch)
app.command("list")(list_names)
app.command()(doctor)
app.command()(completion)
app.command("app")(app_command)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"escsr {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Image super-resolution with the ESC family of networks."""
    protect_streams()


def main() -> None:
    """Run the program. Expected errors give one line and exit code 1; others a traceback.

    Weights that are not on this machine and cannot be fetched end it with exit code 2.

    Set ESCSR_DEBUG=1 to see the traceback of every error.
    """
    protect_streams()
    try:
        app()
    except BrokenPipeError:  # the reader of our output, such as `head`, has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (
        ValueError,
        TypeError,
        OSError,
        MemoryError,
        RuntimeError,
        ModuleNotFoundError,
    ) as error:
        if os.environ.get("ESCSR_DEBUG"):
            raise
        print_error(error)
        sys.exit(2 if _is_not_fetched(error) else 1)


def _is_not_fetched(error: BaseException) -> bool:
    """Whether weights are missing; checked by module name, as importing it takes a second."""
    return type(error).__module__ == "escsr.models.errors"


def print_error(error: BaseException) -> None:
    """Print an error as one paragraph on standard error."""
    text = str(error) or type(error).__name__
    console = make_console(stderr=True)
    console.print("error:", style="bold red", end=" ")
    console.print(text, soft_wrap=True)
