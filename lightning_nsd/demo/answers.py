"""What the page does when something on it is changed or pressed: values in, values of its parts out."""

import traceback
from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr
import torch

from lightning_nsd.data import Glyphs
from lightning_nsd.data.datamodule import SPLITS
from lightning_nsd.demo import parts
from lightning_nsd.demo.drawing import Stage, draw, own, seen
from lightning_nsd.demo.examples import class_names, examples, readable_name, take
from lightning_nsd.demo.offered import MOST_FIELDS, Offered
from lightning_nsd.errors import UserError
from lightning_nsd.settings.numbers import SEED

PICTURE = "drawn.png"
_AS_IT_IS = gr.skip()
_AT_REST = gr.update(visible=True), gr.update(visible=False)
_UNDER_WAY = gr.update(visible=False), gr.update(visible=True)
"""Of the buttons to draw and to stop."""


class Answers:
    """The answers of a page; what cannot be done is a sentence on it.

    Args:
        offered: the models of the page.

    Attributes:
        fields: how many there are to draw in.
    """

    def __init__(self, offered: Sequence[Offered]) -> None:
        self.offered = {one.name: one for one in offered}
        self.fields = min(MOST_FIELDS, max(one.model.n_shot for one in offered))
        self._to_stop: set[str | None] = set()

    def show_settings(self, model: str) -> list[Any]:
        """A model's own settings, and the split of which there are examples at once."""
        one = self.offered[model]
        by_itself = own(one)
        at_once = "test" if isinstance(one.data, Glyphs) else None  # others may have to be decoded first
        return [
            gr.Dropdown(value=by_itself.sampler),
            gr.Slider(value=by_itself.steps, maximum=one.model.diffusion.num_steps),
            gr.Number(value=by_itself.guidance),
            gr.Radio(value=one.kind),
            gr.Radio(value=at_once),
            *self.show_split(model, at_once),
        ]

    def show_split(self, model: str, split: Any) -> tuple[Any, Any, str]:
        """The row of examples, the classes to choose from, and what is wrong."""
        one = self.offered[model]
        if split not in SPLITS:
            return [], gr.Dropdown([], value=None), parts.sentence("")
        try:
            row = parts.example_row(
                [(each.name, readable_name(each.name), each.picture) for each in examples(one, split)]
            )
            names = [(readable_name(name), name) for name in class_names(one, split)]
        except UserError as error:
            return [], gr.Dropdown([], value=None), parts.wrong(error)
        return row, gr.Dropdown(names, value=names[0][1]), parts.sentence("")

    def take_class(self, model: str, split: Any, name: Any, seed: Any) -> tuple[Any, Any, str]:
        """Fields filled with images of a class, what the model sees of them, and what is wrong."""
        one = self.offered[model]
        try:
            chosen = int(seed or 0) % int(SEED.high + 1)
            filled = take(one, split, name, min(one.model.n_shot, self.fields), chosen)
            filled += [""] * (self.fields - len(filled))
            return filled, parts.seen(seen(one, filled, one.kind)), parts.sentence("")
        except UserError as error:
            return _AS_IT_IS, _AS_IT_IS, parts.wrong(error)

    def take_example(self, model: str, split: Any, seed: Any, event: gr.EventData) -> tuple[Any, Any, str]:
        """The same of the class whose example was pressed."""
        return self.take_class(model, split, event.name, seed)

    def look(self, model: str, fields: Any, kind: Any) -> tuple[str, str]:
        """What the model sees of the fields now, and what is wrong with them."""
        if not any(fields or ()):
            return parts.NOTHING_SEEN, parts.sentence("")
        try:
            return parts.seen(seen(self.offered[model], fields, kind)), parts.sentence("")
        except UserError as error:
            return parts.NOTHING_SEEN, parts.wrong(error)

    def run(self, request: gr.Request, model: str, fields: Any, *settings: Any) -> Iterator[tuple[Any, Any, Any, Any]]:
        """What is said, the grid as it is denoised, and the buttons: to draw, or to stop while it draws.

        That it was stopped is said here too, after the last step: what another answer says, a step that is on its way
        would write over.
        """
        stage: Stage | None = None
        page = request.session_hash
        self._to_stop.discard(page)
        try:
            yield parts.sentence("Starting …"), _AS_IT_IS, *_UNDER_WAY
            for stage in draw(self.offered[model], fields or (), *settings):
                grid = _AS_IT_IS if stage.grid is None else parts.result(stage.grid)
                yield parts.sentence(parts.progress(stage)), grid, _AS_IT_IS, _AS_IT_IS
                if page in self._to_stop:
                    yield parts.sentence("Stopped."), _AS_IT_IS, *_AT_REST
                    return
            if stage is not None and stage.grid is not None:
                done = f"{stage.total} steps, {stage.seconds:.1f} seconds."
                yield parts.sentence(done), parts.result(stage.grid, PICTURE), *_AT_REST
        except UserError as error:
            yield parts.wrong(error), _AS_IT_IS, *_AT_REST
        except Exception as error:  # the page is for others: its buttons come back, whatever it was
            traceback.print_exc()
            yield parts.sentence(_failure(error), wrong=True), _AS_IT_IS, *_AT_REST

    def stop(self, request: gr.Request) -> None:
        """Let the drawing of a page end with the step that it is at."""
        self._to_stop.add(request.session_hash)

    def cleared(self) -> tuple[list[str], str, str, str]:
        """Fields, what the model sees, what is said and the result, all of them empty."""
        return [""] * self.fields, parts.NOTHING_SEEN, parts.sentence(""), parts.NO_RESULT


def _failure(error: Exception) -> str:
    """What to say of a drawing that ended in an error that is not the user's."""
    of_host = "DefaultCPUAllocator" in str(error)  # torch has an error of its own for a card's memory alone
    if of_host or isinstance(error, MemoryError | torch.OutOfMemoryError):
        return "There is not enough memory. Take fewer images."
    return "That went wrong. The terminal in which the page was started says what it was."
