"""A class that a file names has to be of the kind that its place takes, allowed or not."""

import pytest

from lightning_nsd.checkpoints.trusted_classes import trusted_class
from lightning_nsd.errors import UserError
from lightning_nsd.model import SpatialContext

ALLOWED = ["subprocess.Popen", "torch.nn.Linear", "lightning_nsd.model.dit.DiT"]


class Own(SpatialContext):
    """Of a user's package."""


def test_a_class_of_the_right_kind_from_elsewhere_is_taken_only_where_it_is_allowed():
    name = f"{__name__}.Own"
    with pytest.raises(UserError, match="nor allowed"):
        trusted_class("spatial_context", name, "a file")
    assert trusted_class("spatial_context", name, "a file", allow=[name]) is Own
    assert trusted_class("spatial_context", "SpatialContext", "a file") is SpatialContext


@pytest.mark.parametrize("name", ALLOWED)
def test_an_allowed_class_of_another_kind_is_refused(name):
    with pytest.raises(UserError, match="which is no SetEncoder"):
        trusted_class("encoder", name, "a file", allow=[name])


@pytest.mark.parametrize("name", ALLOWED)
def test_a_class_that_is_not_allowed_is_refused_before_its_kind_matters(name):
    with pytest.raises(UserError, match="nor allowed"):
        trusted_class("encoder", name, "a file")
