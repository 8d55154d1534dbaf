"""What a run was made with."""

import getpass
import socket

import torch

from lightning_nsd.runs.machine import machine, versions


def test_it_says_what_computes_and_not_whose_it_is():
    found = machine(torch.device("cpu"))
    assert int(found["cores"]) >= 1
    assert "CPU" in found["device"]
    said = " ".join(found.values())
    assert socket.gethostname() not in said
    assert getpass.getuser() not in said.split()


def test_versions_are_those_of_what_numbers_depend_on():
    assert versions()["torch"] == torch.__version__
    assert set(versions()) == {"lightning_nsd", "python", "torch", "lightning"}
