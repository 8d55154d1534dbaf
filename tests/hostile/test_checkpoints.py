"""Checkpoints that are malformed, damaged or hostile: each reader answers in one sentence, and runs nothing."""

import json
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from lightning.pytorch import Trainer
from lightning.pytorch.trainer.states import TrainerFn

import lightning_nsd
from lightning_nsd.checkpoints.io import read_checkpoint
from lightning_nsd.checkpoints.loading import build_model
from lightning_nsd.checkpoints.settings import HYPERPARAMETERS
from lightning_nsd.convert.weights import read as read_for_conversion
from lightning_nsd.errors import UserError
from lightning_nsd.runs.branch import newest_readable
from tests.hostile import make_checkpoint
from tests.hostile.answer import Answer, assert_refused
from tests.hostile.make_checkpoint import DELETED, FIT, JUNK, Content, put, refusal, write

Ask = Callable[..., Answer]


# ---- as a whole ----


def test_files_that_are_no_checkpoint_are_refused_by_every_reader(good, pictures, answer: Ask, tmp_path):
    for name, data in make_checkpoint.damaged(good.read_bytes()).items():
        path = tmp_path / "a.ckpt"
        path.write_bytes(data)
        if name == "twice":  # a zip archive is found from its end: this is the same checkpoint after some bytes
            refusal(read_checkpoint, path)
            continue
        assert refusal(read_checkpoint, path), name
    for command in (
        ["sample", "--ckpt_path", path, "--support", pictures],
        ["convert", "--input", path, "--output", tmp_path / "b.ckpt"],
        ["fit", *FIT, "--ckpt_path", write([1], path)],
        ["evaluate", "--ckpt_path", path],
    ):
        assert_refused(answer(*command), "a.ckpt")


def test_contents_of_another_kind_are_refused(content, tmp_path):
    for name, changed in make_checkpoint.of_another_kind(content).items():
        path = write(changed, tmp_path / "a.ckpt")
        for read in (lightning_nsd.load, read_for_conversion):
            assert refusal(read, path), name


def test_each_part_of_another_type_is_refused_or_of_no_account(content, tmp_path):
    """Epoch and callbacks may be missing; without an optimiser and its schedule a checkpoint holds weights alone."""
    taken = []
    for key in content:
        for kind, value in JUNK.items():
            path = write(put(content, (key,), value), tmp_path / "a.ckpt")
            if not refusal(read_checkpoint, path):
                taken.append((key, kind))
    assert set(taken) <= {("epoch", "deleted"), ("callbacks", "dict"), ("callbacks", "deleted")}


def test_a_file_that_names_code_is_refused_in_our_words_and_the_code_not_run(content, tmp_path):
    marker = tmp_path / "marker"
    path = write({**content, "callbacks": {"a": make_checkpoint.Runs(marker)}}, tmp_path / "a.ckpt")
    said = refusal(read_checkpoint, path)
    assert "would have to be run" in said
    assert "unsafe" not in said
    assert "safe_globals" not in said
    assert not marker.exists()


def test_a_tensor_that_claims_more_bytes_than_its_record_is_refused(good, content, tmp_path):
    """torch would read on in memory behind the record."""
    write(put(content, ("callbacks", "x"), torch.arange(77.0)), tmp_path / "x")  # the only record of 77 elements
    claim = b"J" + struct.pack("<i", 10**8)
    with zipfile.ZipFile(tmp_path / "x") as source, zipfile.ZipFile(tmp_path / "a.ckpt", "w") as target:
        for entry in source.infolist():
            data = source.read(entry)
            if entry.filename.endswith("data.pkl"):
                for after in (b"t", b"\x85"):  # the storage's size, and the tensor's
                    assert data.count(b"KM" + after) == 1
                    data = data.replace(b"KM" + after, claim + after)
            target.writestr(entry.filename, data)
    assert refusal(read_checkpoint, tmp_path / "a.ckpt")
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(tmp_path / "b.ckpt", "w", zipfile.ZIP_DEFLATED) as target:
        for entry in source.infolist():
            target.writestr(entry.filename, source.read(entry))
    assert refusal(read_checkpoint, tmp_path / "b.ckpt")  # what unfolds to far more than the file


def flipped(data: bytes, draw: random.Random) -> bytes:
    """One to eight bytes changed."""
    changed = bytearray(data)
    for _ in range(draw.randint(1, 8)):
        changed[draw.randrange(len(changed))] ^= draw.randint(1, 255)
    return bytes(changed)


def is_equal(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(is_equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(is_equal, a, b))
    return bool(a == b)


def test_changed_bytes_are_found_or_change_nothing(good, content, campaign, tmp_path):
    data, path = good.read_bytes(), tmp_path / "a.ckpt"
    found = 0
    for seed in range(300 * campaign):
        path.write_bytes(flipped(data, random.Random(seed)))
        if refusal(read_checkpoint, path):
            found += 1
        else:
            assert is_equal(read_checkpoint(path), content), seed
    assert found > 200 * campaign


def test_the_newest_checkpoint_with_changed_bytes_is_passed_over(good, tmp_path):
    (tmp_path / "checkpoints").mkdir()
    for seed in range(5):
        (tmp_path / "last.ckpt").write_bytes(flipped(good.read_bytes(), random.Random(seed)))
        older = tmp_path / "checkpoints" / "step=00000002.ckpt"
        older.write_bytes(good.read_bytes())
        with pytest.warns(UserWarning, match=r"Passed over .*last\.ckpt"):
            assert newest_readable(tmp_path) == older


# ---- settings ----


def settings_of(content: Content) -> list[tuple[Any, ...]]:
    return [(HYPERPARAMETERS, *path) for path in make_checkpoint.parts(content[HYPERPARAMETERS])]


def test_any_setting_may_hold_anything(content, campaign, tmp_path):
    """A model that its weights fit, or one sentence."""
    values = [None, "x", -1, 0, 10**12, float("nan"), [], {}, [[1] * 100] * 100, "os.system", DELETED]
    draw = random.Random(0)
    for path in settings_of(content):
        for value in draw.sample(values, min(2 * campaign, len(values))):
            refusal(lightning_nsd.load, write(put(content, path, value), tmp_path / "a.ckpt"))


def test_settings_of_absurd_size_are_refused_before_anything_is_built(content, tmp_path):
    denoiser = (HYPERPARAMETERS, "denoiser", "init_args")
    for path, value, said in [
        ((*denoiser, "model_channels"), 65_536, "far larger"),
        ((*denoiser, "num_res_blocks"), 100, "far larger"),
        ((*denoiser, "channel_multipliers"), [256] * 3, "far larger"),
        ((HYPERPARAMETERS, "image_size"), 10**9, "image_size"),
        ((HYPERPARAMETERS, "diffusion", "num_steps"), 10**12, "num_steps"),
    ]:
        assert said in refusal(lightning_nsd.load, write(put(content, path, value), tmp_path / "a.ckpt")), path
    dit = {"class_path": "DiT", "init_args": {"patch_size": 1, "hidden_size": 4096}}
    large = put(put(content, (HYPERPARAMETERS, "denoiser"), dit), (HYPERPARAMETERS, "image_size"), 1024)
    assert "no attention reaches" in refusal(lightning_nsd.load, write(large, tmp_path / "a.ckpt"))


# ---- training on ----


def test_a_training_state_that_is_junk_is_refused_before_the_first_step(good, content, answer: Ask, tmp_path):
    optimizer = ("optimizer_states", 0)
    for number, (path, value) in enumerate([
        ((*optimizer, "state"), {}),
        (("loops", "fit_loop", "epoch_progress"), DELETED),
        ((*optimizer, "state", 0, "exp_avg"), DELETED),
        ((*optimizer, "state", 0, "exp_avg"), torch.zeros(3)),
        ((*optimizer, "state", 0, "step"), torch.zeros(3)),
        ((*optimizer, "state", 10**6), {}),
        ((*optimizer, "param_groups", 0, "lr"), "fast" * 100),
        ((*optimizer, "param_groups", 0, "betas"), torch.zeros(3)),
        ((*optimizer, "param_groups", 0, "params"), [0]),
        (("lr_schedulers", 0, "last_epoch"), DELETED),
        (("lr_schedulers", 0, "step"), 3),
        (("lr_schedulers", 0, "base_lrs"), [0.1]),
        (("loops", "fit_loop", "epoch_progress"), {"total": 3}),
        (("loops", "fit_loop", "epoch_progress", "total", "ready"), {}),
    ]):  # fmt: skip
        changed = write(put(content, path, value), tmp_path / "a.ckpt")
        if number < 2:  # by the real command
            assert_refused(answer("fit", *FIT, "--trainer.max_steps=4", "--ckpt_path", changed))
        else:
            with pytest.raises(UserError):
                resume(changed)
    resume(good)


def resume(path: Path) -> None:
    """What training does with a checkpoint before it restores anything."""
    checkpoint = read_checkpoint(path)
    module = build_model(checkpoint[HYPERPARAMETERS], "test")
    module._trainer = Trainer(logger=False, accelerator="cpu", enable_model_summary=False, max_steps=1)
    module._trainer.state.fn = TrainerFn.FITTING
    module.on_load_checkpoint(checkpoint)


@pytest.mark.parametrize("optimizer", ["torch.optim.SGD", "torch.optim.RMSprop", "torch.optim.NAdam"])
def test_resuming_with_another_optimiser_is_refused_and_says_what_to_do(good, optimizer, answer: Ask):
    options = [f"--model.optimizer={optimizer}", "--model.optimizer.momentum=0.9", "--model.optimizer.lr=0.1"]
    options = options if "NAdam" not in optimizer else options[:1]
    answered = answer("fit", *FIT, *options, "--trainer.max_steps=4", "--ckpt_path", good)
    assert_refused(answered, "optimiser", optimizer.rpartition(".")[2], "Resume with the optimiser of its run")


def test_weights_that_do_not_fit_are_named_by_the_first_few(content, answer: Ask, tmp_path):
    state = {key: value[..., None] for key, value in content["state_dict"].items()}
    path = write({**content, "state_dict": state}, tmp_path / "a.ckpt")
    for command in (["fit", *FIT, "--ckpt_path", path], ["convert", "--input", path, "--output", "b.ckpt"]):
        answered = answer(*command)
        assert_refused(answered, " more")
        assert len(answered.message) < 800


def test_an_empty_ckpt_path_is_refused(answer: Ask):
    for command in ("fit", "validate", "test", "predict"):
        assert_refused(answer(command, *FIT, "--ckpt_path", ""), "--ckpt_path is empty")


# ---- other kinds of files ----

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
HEADERS = st.dictionaries(st.sampled_from(["model.a", "ema.a", "__metadata__", "x"]), JSON, max_size=4) | JSON


@hypothesis_settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(header=HEADERS, tail=st.binary(max_size=64), metadata=st.none() | JSON, step=st.none() | JSON)
def test_any_safetensors_header_is_answered(tmp_path, header, tail, metadata, step):
    if isinstance(header, dict) and metadata is not None:
        header["__metadata__"] = {HYPERPARAMETERS: json.dumps(metadata), "step": json.dumps(step)}
    text = json.dumps(header).encode()
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + tail)
    assert refusal(read_for_conversion, path)


def test_golden_files_with_a_configuration_of_the_wrong_type_are_refused(tmp_path):
    from tests.convert.make_source import source_tree
    from tests.convert.test_jax_source import npz

    tree = source_tree()
    for name in ("", "sample_size", "image_size", "diffusion_steps", "noise_schedule", "mode_context", "pool"):
        for kind in ("null", "list", "dict", "negative", "fraction", "nan"):
            config = {**tree["cfg"], name: JUNK[kind]} if name else JUNK[kind]
            assert refusal(read_for_conversion, npz(tmp_path / "a.npz", {**tree, "cfg": config})), (name, kind)
    for wrong in (b"", b"PK\3\4", b"\x93NUMPY", (tmp_path / "a.npz").read_bytes()[:500]):
        (tmp_path / "a.npz").write_bytes(wrong)
        assert refusal(read_for_conversion, tmp_path / "a.npz")
