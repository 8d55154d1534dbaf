"""The layout of the page, what answers each of its parts, and how it is served."""

import socket
from collections.abc import Sequence
from typing import Any

import gradio as gr

from lightning_nsd.data.datamodule import SPLITS
from lightning_nsd.demo import parts
from lightning_nsd.demo.answers import Answers
from lightning_nsd.demo.drawing import MOST_IMAGES
from lightning_nsd.demo.field import MAX_BYTES
from lightning_nsd.demo.offered import Offered
from lightning_nsd.demo.support import KINDS
from lightning_nsd.diffusion.sampler import SAMPLERS

IMAGES, SEED = 18, 0
_TITLE = "Few-shot drawing"
_INTRODUCTION = (
    "Draw a few examples of one letter, or of anything the model was made for: it draws more of the same kind. "
    "Nothing leaves this machine."
)
_SYSTEM_FONTS = ("system-ui", "sans-serif")  # the default ones would be fetched from elsewhere


def make_page(offered: Sequence[Offered]) -> gr.Blocks:
    """The page of some models, the first of them chosen."""
    answers = Answers(offered)
    count = answers.fields

    with gr.Blocks(title=_TITLE, analytics_enabled=False, fill_width=True) as page:
        bare: dict[str, Any] = {"apply_default_css": False}
        gr.HTML(f'<h1>{_TITLE}</h1><p class="quiet">{_INTRODUCTION}</p>', elem_id="title", **bare)
        checkpoint = gr.Dropdown(
            [one.name for one in offered], value=offered[0].name, label="Model", visible=len(offered) > 1
        )
        row = gr.HTML([], html_template=parts.EXAMPLES, js_on_load=parts.ON_EXAMPLES, elem_id="examples", **bare)
        fields = gr.HTML(
            [""] * count,
            html_template=parts.fields(count),
            js_on_load=parts.asset("fields.js"),
            most_bytes=MAX_BYTES,
            elem_id="fields",
            **bare,
        )
        seen_now = gr.HTML(parts.NOTHING_SEEN, elem_id="seen", **bare)
        with gr.Row():
            start = gr.Button("Draw more", variant="primary", elem_id="draw", scale=0, min_width=186)
            stop = gr.Button("Stop", variant="stop", visible=False, elem_id="stop", scale=0, min_width=186)
            clear = gr.Button("Clear all", elem_id="clear", scale=0, min_width=120)
        with gr.Row(elem_id="below"):
            with gr.Column(scale=2, min_width=280):
                num = gr.Slider(1, MOST_IMAGES, value=IMAGES, step=1, label="Images", elem_id="num")
                seed = gr.Number(SEED, label="Seed", precision=0, elem_id="seed")
                with gr.Accordion("Sampler", open=False):
                    sampler = gr.Dropdown(list(SAMPLERS), label="Sampler", elem_id="sampler")
                    steps = gr.Slider(1, 1000, step=1, label="Steps", elem_id="steps")
                    guidance = gr.Number(label="Guidance", elem_id="guidance")
                    kind = gr.Radio(list(KINDS), label="The pictures are", elem_id="kind")
                with gr.Accordion(f"Take {count} of a class", open=False):
                    split = gr.Radio(list(SPLITS), label="Split", elem_id="split")
                    name = gr.Dropdown([], label="Class", elem_id="class")
                    taken = gr.Button(f"Take {count}", elem_id="take")
            with gr.Column(scale=3, min_width=280, elem_id="drawn"):
                status = gr.HTML(parts.sentence(""), elem_id="status", **bare)
                result = gr.HTML(parts.NO_RESULT, elem_id="result", **bare)

        private: dict[str, Any] = {"api_visibility": "private"}
        quick: dict[str, Any] = {**private, "queue": False, "show_progress": "hidden"}
        settings = [sampler, steps, guidance, kind, split, row, name, status]
        page.load(answers.show_settings, checkpoint, settings, **private, show_progress="hidden")
        checkpoint.change(answers.show_settings, checkpoint, settings, **private, show_progress="hidden")
        split.input(answers.show_split, [checkpoint, split], [row, name, status], **private)
        row.select(answers.take_example, [checkpoint, split, seed], [fields, seen_now, status], **quick)
        taken.click(answers.take_class, [checkpoint, split, name, seed], [fields, seen_now, status], **quick)
        fields.input(answers.look, [checkpoint, fields, kind], [seen_now, status], **quick)
        kind.input(answers.look, [checkpoint, fields, kind], [seen_now, status], **quick)
        clear.click(answers.cleared, None, [fields, seen_now, status, result], **quick)
        start.click(
            answers.run,
            [checkpoint, fields, kind, num, sampler, steps, guidance, seed],
            [status, result, start, stop],
            **private,
            concurrency_limit=1,
            show_progress="hidden",
        )
        stop.click(answers.stop, None, None, **quick)
    return page


def serve(page: gr.Blocks, host: str, port: int | None) -> str:
    """Serve the page from here on, until `page.close()`; gives its address.

    Args:
        page: of `make_page`.
        host: the address to listen on.
        port: the first free one from 7860 on where None.

    Raises:
        OSError: the port is not free, or there is no such address here.
    """
    with socket.create_server((host, port or 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
        pass  # gradio would try a hundred ports of an address that there is not, for minutes
    page.queue(max_size=16)
    _, address, _ = page.launch(
        server_name=host,
        server_port=port,
        share=False,
        prevent_thread_lock=True,
        quiet=True,
        inbrowser=False,
        show_error=False,
        run_history=False,
        footer_links=[],
        max_file_size=MAX_BYTES,
        allowed_paths=[],
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
        theme=gr.themes.Default(font=_SYSTEM_FONTS, font_mono=("monospace",)),
        css=parts.asset("page.css"),
    )
    return str(address)
