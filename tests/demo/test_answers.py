"""What the page says and shows when something is pressed, without a browser."""

from collections.abc import Iterator

import gradio as gr
import pytest
import torch

from lightning_nsd.demo import answers
from lightning_nsd.demo.answers import Answers
from lightning_nsd.demo.drawing import Stage
from lightning_nsd.demo.offered import MOST_FIELDS, Offered
from tests.demo.conftest import make_offered


def asked_by(page: str) -> gr.Request:
    return gr.Request(session_hash=page)


def wanting_memory(*_: object) -> Iterator[Stage]:
    yield Stage(1, 2, 0.1, None)
    torch.empty(10**15)


def broken(*_: object) -> Iterator[Stage]:
    yield Stage(1, 2, 0.1, None)
    raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")


@pytest.mark.parametrize(("work", "said"), [(wanting_memory, "not enough memory"), (broken, "The terminal")])
def test_a_drawing_that_fails_is_a_sentence_and_the_buttons_come_back(
    work, said, offered: Offered, monkeypatch
) -> None:
    monkeypatch.setattr(answers, "draw", work)
    *_, (sentence, _, start, stop) = Answers([offered]).run(asked_by("a page"), offered.name, [])
    assert said in sentence
    assert start["visible"] and not stop["visible"]


def test_what_a_page_stops_is_its_own_drawing_and_that_is_the_last_that_is_said(
    offered: Offered, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "draw", lambda *_: (Stage(step, 100, 0.1, None) for step in range(1, 100)))
    page = Answers([offered])
    mine, theirs = (page.run(asked_by(name), offered.name, []) for name in ("mine", "theirs"))
    for drawing in (mine, theirs):
        next(drawing), next(drawing)
    page.stop(asked_by("mine"))
    *_, (sentence, _, start, stop) = mine
    assert "Stopped." in sentence and start["visible"] and not stop["visible"]
    assert len(list(theirs)) == 98
    again = page.run(asked_by("mine"), offered.name, [])
    assert len(list(again)) == 100


def test_a_model_of_any_set_size_has_no_more_fields_than_the_page() -> None:
    one = make_offered()
    one.model.n_shot = 300
    page = Answers([one])
    assert page.fields == MOST_FIELDS
    filled, _, _ = page.take_class(one.name, "test", "hebrew/05D0", 0)
    assert len(filled) == MOST_FIELDS and all(filled)
