"""The page: its tabs, its looks."""

import gradio as gr

from escsr.app.comparing_tab import build_comparing
from escsr.app.degrading_tab import build_degrading
from escsr.app.desk import Desk
from escsr.app.examples import make_examples
from escsr.app.many_tab import build_many
from escsr.app.one import build_one
from escsr.version import __version__

CSS = """
.gradio-container { max-width: 1280px !important; width: 100%; margin: 0 auto; }
.said { display: flex; flex-direction: column; gap: .4rem; padding: .6rem .8rem;
        border-radius: .5rem; border-left: 4px solid #2563eb;
        background: var(--background-fill-secondary); color: var(--body-text-color); }
.said.bad { border-color: #dc2626; }
.said.good { border-color: #16a34a; }
.said progress { width: 100%; height: .6rem; }
.files { width: 100%; border-collapse: collapse; }
.files th, .files td { text-align: left; padding: .3rem .6rem; vertical-align: top;
                       border: 0 !important; color: inherit;
                       border-bottom: 1px solid var(--border-color-primary) !important; }
.files td:first-child { overflow-wrap: anywhere; min-width: 7rem; }
.files td:nth-child(2) { white-space: nowrap; }
.files .failed td { font-weight: 600; }
.network:has(input:disabled) { background: var(--background-fill-secondary); cursor: not-allowed; }
.network input:disabled { opacity: .5; cursor: not-allowed; }
#side-view .grid-wrap { max-height: none !important; height: auto !important; }
body:not(.dark) [role=tab].selected { color: var(--primary-700) !important; }
:focus-visible { outline: 3px solid #2563eb !important; outline-offset: 2px; }
"""


def make_theme() -> gr.themes.Base:
    """Fonts of the system: nothing is fetched from elsewhere."""
    theme = gr.themes.Default(
        primary_hue="blue",
        neutral_hue="slate",
        font=("system-ui", "sans-serif"),
        font_mono=("ui-monospace", "monospace"),
    )
    # A shade darker than Gradio's: 4.5 to 1 at least.
    return theme.set(
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_dark="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_hover_dark="*primary_700",
        block_info_text_color="*neutral_600",
        block_title_text_color="*neutral_600",
        block_label_text_color="*neutral_600",
        body_text_color_subdued="*neutral_600",
    )


def build_page(desk: Desk) -> gr.Blocks:
    """All tabs, over one desk."""

    def leave(request: gr.Request) -> None:
        desk.leave(str(request.session_hash))

    page: gr.Blocks
    with gr.Blocks(
        title="escsr", analytics_enabled=False, delete_cache=(600, 86400), fill_width=True
    ) as page:
        gr.Markdown(f"# escsr\nUpscale pictures on this machine. Version {__version__}.")
        examples = make_examples(desk.folder.path / "examples")
        with gr.Tab("One picture"):
            build_one(desk, examples)
        with gr.Tab("Many pictures"):
            build_many(desk)
        with gr.Tab("Degradations"):
            build_degrading(desk, examples)
        with gr.Tab("Compare networks"):
            build_comparing(desk, examples)
        page.unload(leave)
    page.queue(max_size=4 * desk.limits.waiting, api_open=False)
    return page
