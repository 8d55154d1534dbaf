"""Calls in a process of their own, and what they cost."""

import json
import os
import time
from types import SimpleNamespace

import pytest
import torch


@pytest.fixture(scope="module")
def bench():
    import one_step
    from own_process import within

    return SimpleNamespace(within=within, peak_memory=one_step.peak_memory)


def memory_with(size):
    """MiB of a process that has had `size` MiB of ones."""
    from one_step import peak_memory

    torch.ones(size * 2**18)
    return {"mib": peak_memory()}


def test_what_takes_too_long_is_ended(bench):
    start = time.monotonic()
    assert bench.within(0.2, time.sleep, 60) is None
    assert time.monotonic() - start < 30


def test_what_fails_is_told(bench):
    assert bench.within(60, json.loads, "no JSON")["error"].startswith("JSONDecodeError")


def test_a_process_that_dies_is_told_at_once(bench):
    start = time.monotonic()
    assert bench.within(60, os._exit, 3) == {"error": "the process ended with status 3"}
    assert time.monotonic() - start < 30


def test_memory_is_that_of_the_process_and_not_of_its_parent(bench):
    held = torch.ones(600 * 2**18)
    little, much = (bench.within(60, memory_with, size)["mib"] for size in (10, 500))
    assert 400 < much - little < 600
    assert little + 100 < bench.peak_memory() and len(held)  # which is held until here
