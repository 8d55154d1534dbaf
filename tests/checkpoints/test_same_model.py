"""A checkpoint is of the model that shall load it where all settings are the same that weights depend on."""

from functools import partial

import pytest

from lightning_nsd.checkpoints.same_model import check_same
from lightning_nsd.errors import UserError
from lightning_nsd.model import SpatialContext
from tests.conftest import make_model


def changed(settings, **new):
    """Settings with some of their leaves replaced, by the last part of their names."""
    if not isinstance(settings, dict):
        return settings
    return {key: new.get(key, changed(value, **new)) for key, value in settings.items()}


@pytest.mark.parametrize(
    ("free", "new"),
    [
        (True, {"dropout": 0.3}), (True, {"seed": 7}), (True, {"kl_weight": 0.0}), (True, {"vlb_weight": 2.0}),
        (True, {"variance": "fixed_small"}), (True, {"context_dropout": 0.5}), (True, {"sampler": None}),
        (False, {"variance": "learned"}), (False, {"context_dropout": 0.0}), (False, {"hidden_size": 32}),
        (False, {"prediction": "v"}), (False, {"num_steps": 51}), (False, {"pool": "mean"}), (False, {"n_shot": 9}),
    ],
)  # fmt: skip
def test_only_what_the_weights_depend_on_has_to_be_the_same(free, new):
    model = make_model(context_dropout=0.2)
    other = changed(model.hyperparameters, **new)
    assert other != model.hyperparameters
    if free:
        check_same(other, model)
    else:
        with pytest.raises(UserError, match="another model than the configuration describes"):
            check_same(other, model)


def test_maps_are_part_of_what_weights_depend_on():
    without, maps = make_model(), {"spatial_context": SpatialContext}
    with_maps, narrower = make_model(**maps), make_model(spatial_context=partial(SpatialContext, model_channels=8))
    check_same(with_maps.hyperparameters, make_model(**maps))
    for saved, model, found in (
        (without, with_maps, r"model\.spatial_context\.init_args\.model_channels: absent in the checkpoint, 32 in"),
        (narrower, with_maps, r"model\.spatial_context\.init_args\.model_channels: 8 in the checkpoint, 32 in"),
        (with_maps, without, r"model\.spatial_context: absent in .* None in|class_path: lightning_nsd.* absent in"),
    ):
        with pytest.raises(UserError, match=found):
            check_same(saved.hyperparameters, model)


@pytest.mark.parametrize("junk", [None, "x", -3, [1], {"a": {}}, {"class_path": 3}, {"class_path": "os.system"}])
@pytest.mark.parametrize(
    "place", ["encoder", "context", "denoiser", "spatial_context", "diffusion", "image_size", "context_dropout"]
)
def test_settings_that_are_none_are_another_model(place, junk):
    model = make_model(context_dropout=0.2, spatial_context=SpatialContext)
    with pytest.raises(UserError, match=rf"model\.{place}"):
        check_same({**model.hyperparameters, place: junk}, model)
