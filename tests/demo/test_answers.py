"""What the page says and shows when something is pressed, without a browser."""

from collections.abc import Iterator

import pytest
import torch

from lightning_nsd.demo import answers
from lightning_nsd.demo.answers import Answers
from lightning_nsd.demo.drawing import Stage
from lightning_nsd.demo.offered import MOST_FIELDS, Offered
from tests.demo.conftest import make_offered


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
    *_, (sentence, _, start, stop) = Answers([offered]).run(offered.name, [])
    assert said in sentence
    assert start["visible"] and not stop["visible"]


def test_a_model_of_any_set_size_has_no_more_fields_than_the_page() -> None:
    one = make_offered()
    one.model.n_shot = 300
    page = Answers([one])
    assert page.fields == MOST_FIELDS
    filled, _, _ = page.take_class(one.name, "test", "hebrew/05D0", 0)
    assert len(filled) == MOST_FIELDS and all(filled)
