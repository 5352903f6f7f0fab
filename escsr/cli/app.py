"""``escsr app``: the page in a browser."""

from typing import Annotated

import typer

from escsr.cli.console import make_console


def app(
    host: Annotated[
        str,
        typer.Option(help="Address to listen on; 0.0.0.0: all. Default: this machine only."),
    ] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Default: the first free one from 7860."),
    ] = None,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")
    ] = True,
    share: Annotated[
        bool,
        typer.Option("--share", help="Also publish it on the internet, through Gradio's servers."),
    ] = False,
    memory: Annotated[
        str | None,
        typer.Option(metavar="AMOUNT", help="Memory limit, e.g. 4GB. Default: the free memory."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="fp32, bf16 or fp16.")] = "fp32",
    jobs: Annotated[
        int, typer.Option(min=1, help="Pictures computed at the same time; others wait.")
    ] = 2,
) -> None:
    """Upscale pictures on a page in the browser, with a preview before and after.

    It listens on this machine only, unless --host or --share is given.
    """
    import signal
    import webbrowser

    from escsr.app.guard import is_loopback
    from escsr.app.limits import Limits
    from escsr.app.server import serving, wait

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)  # so that files are removed then, too
    console = make_console()
    console.print("Starting …")
    with serving(
        host=host,
        port=port,
        share=share,
        limits=Limits(jobs=jobs),
        memory=memory,
        device=device,
        precision=precision,
    ) as served:
        console.print(f"The page is {served.address} (Ctrl-C ends it)", soft_wrap=True)
        if not is_loopback(host):
            console.print("note: anyone who can reach this machine can use it", style="yellow")
        if share:
            where = served.shared or "not available: Gradio's servers were not reached"
            console.print(f"For anyone on the internet: {where}", style="yellow")
        if browser:
            webbrowser.open(served.address)
        try:
            wait()
        except KeyboardInterrupt:
            console.print("Ended; the temporary files are removed")
