"""A network that does not fit into memory is refused before any of it is allocated."""

import pytest
import torch
from torch import nn

from lightning_nsd.errors import UserError
from lightning_nsd.settings import memory
from lightning_nsd.settings.memory import check_memory
from tests.conftest import make_model


def test_the_widest_layer_is_named(monkeypatch):
    monkeypatch.setattr(memory, "memory_bytes", lambda: 1e9)
    with pytest.raises(UserError, match=r"8,000\.1 GB .* 1\.0 GB.* model\.1\.weight \(1,000,000 × 1,000,000\)"):
        check_memory(lambda: nn.Sequential(nn.Linear(8, 1_000_000), nn.Linear(1_000_000, 1_000_000)))


def test_what_fits_is_built_with_the_same_weights_as_without_the_check(monkeypatch):
    expected = make_model().state_dict()
    monkeypatch.setattr("lightning_nsd.module.check_memory", lambda make: None)
    for name, weight in make_model().state_dict().items():
        assert torch.equal(weight, expected[name])


def test_a_network_that_reads_its_numbers_while_it_is_built_is_let_through():
    class Reads(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))
            assert self.weight.item() == 1

    check_memory(Reads)
