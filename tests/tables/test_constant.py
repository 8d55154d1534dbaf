"""Tables that follow a tensor."""

import numpy as np
import torch

from lightning_nsd.tables.constant import Constant


def test_a_table_takes_the_dtype_of_what_it_meets_and_keeps_float64s_digits():
    table = Constant(np.array([1 / 3]))
    assert table.like(torch.zeros(1)).dtype == torch.float32
    assert float(table.like(torch.zeros(1, dtype=torch.float64))) == 1 / 3


def test_a_table_first_used_in_evaluation_serves_training_too():
    table, weight = Constant(np.array([2.0])), torch.ones(1, requires_grad=True)
    with torch.inference_mode():
        table.like(weight)
    (weight * table.like(weight)).sum().backward()
    assert weight.grad.tolist() == [2.0]
