"""Checkpoints that are malformed, damaged or hostile: each reader answers in one sentence, and runs nothing."""

import json
import random
import struct
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from lightning.pytorch import Trainer
from lightning.pytorch.trainer.states import TrainerFn
from PIL import Image
from safetensors.torch import save_file

import lightning_nsd
from lightning_nsd.checkpoints.io import read_checkpoint
from lightning_nsd.checkpoints.loading import build_model
from lightning_nsd.checkpoints.settings import HYPERPARAMETERS
from lightning_nsd.convert.weights import read as read_for_conversion
from lightning_nsd.errors import UserError
from lightning_nsd.runs.branch import newest_readable
from tests.hostile import make_checkpoint
from tests.hostile.answer import LONGEST, PYTHON_TALK, Answer, assert_refused
from tests.hostile.make_checkpoint import DELETED, FIT, JUNK, Content, put

Ask = Callable[..., Answer]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of two steps."""
    root = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        make_checkpoint.make(root)
    return root


@pytest.fixture(scope="module")
def good(run: Path) -> Path:
    return run / "last.ckpt"


@pytest.fixture(scope="module")
def content(good: Path) -> Content:
    return read_checkpoint(good)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A support set."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(3):
        Image.fromarray(np.full((8, 8), 80 * i, np.uint8)).save(folder / f"{i}.png")
    return folder


def write(content: Any, path: Path) -> Path:
    torch.save(content, path)
    return path


def refusal(read: Callable[[Path], object], path: Path) -> str:
    """What a reader says about a file; empty where it takes it."""
    said = ""
    try:
        read(path)
    except UserError as error:
        said = str(error)
    assert len(said) <= LONGEST
    assert not PYTHON_TALK.search(said), said
    assert not said or str(path) in said
    return said


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


def test_the_newest_checkpoint_with_changed_bytes_is_passed_over(run, good, tmp_path):
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


# ---- classes ----

PLACES = ("encoder", "context", "denoiser", "sampler", "diffusion", "optimizer", "lr_schedule")


@pytest.fixture
def marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that comes into being where a hostile module is imported, or a command run."""
    path = tmp_path / "marker"
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "hostile_module.py").write_text(
        f"import pathlib\npathlib.Path({str(path)!r}).touch()\ndef X(*a, **k): pathlib.Path({str(path)!r}).touch()\n"
    )
    (folder / "own_module.py").write_text(
        "from lightning_nsd.model import UNetEncoder\nclass MyEncoder(UNetEncoder): pass\nclass Other: pass\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    for name in ("hostile_module", "own_module"):
        sys.modules.pop(name, None)
    return path


def hostile(marker: Path) -> list[Any]:
    """Values that a careless reader runs or imports."""
    command = f"touch {marker}"
    return [
        {"class_path": "os.system", "init_args": {"command": command}},
        {"class_path": "subprocess.Popen", "init_args": {"args": command, "shell": True}},
        {"class_path": "builtins.eval", "init_args": {"source": "1"}},
        {"class_path": "hostile_module.X"},
        "hostile_module.X",
        "os.system",
        {"class_path": "lightning_nsd.model.unet.hostile_module.X"},
    ]


def within(settings: Content, marker: Path) -> list[Content]:
    """A model's settings with something hostile in a place for a class, or in a place for a number."""
    changed = [put(settings, (place,), value) for place in PLACES for value in hostile(marker)]
    for path in [("encoder", "init_args", "dropout"), ("denoiser", "init_args", "channel_multipliers"), ("image_size",),
                 ("diffusion", "schedule"), ("denoiser", "init_args", "new"), ("compile",)]:  # fmt: skip
        changed += [put(settings, path, value) for value in (*hostile(marker), [hostile(marker)[0]])]
    return changed


def test_no_class_of_a_checkpoint_is_imported_or_run(content, marker, tmp_path):
    for settings in within(content[HYPERPARAMETERS], marker):
        path = write({**content, HYPERPARAMETERS: settings}, tmp_path / "a.ckpt")
        assert refusal(lightning_nsd.load, path), settings
    assert not marker.exists()
    assert "hostile_module" not in sys.modules


def test_no_class_of_safetensors_metadata_is_imported_or_run(content, marker, tmp_path):
    for settings in within(content[HYPERPARAMETERS], marker):
        metadata = {HYPERPARAMETERS: json.dumps(settings), "step": "2"}
        save_file(content["state_dict"], tmp_path / "a.safetensors", metadata)
        assert refusal(read_for_conversion, tmp_path / "a.safetensors"), settings
    assert not marker.exists()
    assert "hostile_module" not in sys.modules


def test_no_class_of_an_orbax_folder_is_imported_or_run(good, content, marker, answer: Ask, tmp_path):
    orbax = pytest.importorskip("orbax.checkpoint")
    assert answer("convert", "--input", good, "--output", tmp_path / "good").status == 0
    tree = orbax.PyTreeCheckpointer().restore((tmp_path / "good").absolute())
    for number, value in enumerate(hostile(marker)[:4]):
        settings = put(content[HYPERPARAMETERS], ("denoiser",), value)
        tree["settings"] = np.frombuffer(json.dumps(settings).encode(), dtype=np.uint8)
        orbax.PyTreeCheckpointer().save((tmp_path / str(number)).absolute(), tree)
        assert refusal(read_for_conversion, tmp_path / str(number))
    for number, value in enumerate([np.zeros(3), np.frombuffer(b"\xff{", np.uint8), np.frombuffer(b"3", np.uint8)]):
        orbax.PyTreeCheckpointer().save((tmp_path / f"s{number}").absolute(), {**tree, "settings": value})
        assert refusal(read_for_conversion, tmp_path / f"s{number}")
    assert not marker.exists()


def test_no_command_imports_or_runs_what_a_checkpoint_names(content, marker, pictures, answer: Ask, tmp_path):
    for value in hostile(marker)[:4]:
        path = write(put(content, (HYPERPARAMETERS, "encoder"), value), tmp_path / "a.ckpt")
        assert_refused(answer("sample", "--ckpt_path", path, "--support", pictures), "encoder", "a.ckpt")
        assert_refused(answer("convert", "--input", path, "--output", tmp_path / "b.ckpt"), "encoder", "a.ckpt")
        assert_refused(answer("evaluate", "--ckpt_path", path), "encoder", "a.ckpt")
    assert_refused(answer("fit", *FIT, "--ckpt_path", path), "model.encoder.class_path")
    assert_refused(answer("validate", *FIT, "--ckpt_path", path), "model.encoder.class_path")
    assert not marker.exists()
    assert "hostile_module" not in sys.modules


def test_no_class_of_a_config_beside_a_checkpoint_is_imported_or_run(run, good, marker, answer: Ask, tmp_path):
    config = yaml.safe_load((run / "config.yaml").read_text())
    (tmp_path / "last.ckpt").write_bytes(good.read_bytes())
    for path in [("data",), ("fid", "sampler"), ("fid", "extractor"), ("fid", "extractor_args", "x"),
                 ("data", "init_args", "image_size"), ("fid", "cache_dir")]:  # fmt: skip
        for value in hostile(marker)[:5]:
            if path == ("fid", "cache_dir") and isinstance(value, str):
                continue  # a name of a folder
            if path[1:2] == ("extractor_args",):
                config["fid"]["extractor_args"] = {}
            changed = put(config, path, value)
            (tmp_path / "config.yaml").write_text(yaml.safe_dump(changed))
            answered = answer("evaluate", "--ckpt_path", tmp_path / "last.ckpt", "--num_samples", "2")
            assert_refused(answered, "config.yaml" if path[1:2] != ("extractor_args",) else "")
    assert not marker.exists()
    assert "hostile_module" not in sys.modules


def test_a_class_of_the_users_own_is_loaded_where_it_is_allowed_by_name(content, marker, pictures, answer: Ask):
    named = put(content, (HYPERPARAMETERS, "encoder", "class_path"), "own_module.MyEncoder")
    path = write(named, Path("own.ckpt"))
    assert "own_module.MyEncoder" in refusal(lightning_nsd.load, path)
    assert "own_module" not in sys.modules
    model = lightning_nsd.load(path, allow=["own_module.MyEncoder"])
    assert type(model.model.encoder).__name__ == "MyEncoder"
    allow = ["--allow", "own_module.MyEncoder"]
    for command in (
        ["sample", "--ckpt_path", path, "--support", pictures, "--num", 1, "--out", "new.png"],
        ["convert", "--input", path, "--output", "own.safetensors"],
    ):
        assert_refused(answer(*command), "own_module.MyEncoder", "--allow")
        assert answer(*command, *allow).status == 0
    assert_refused(answer("convert", "--input", "own.safetensors", "--output", "b.ckpt"), "own_module.MyEncoder")
    assert answer("convert", "--input", "own.safetensors", "--output", "b.ckpt", *allow).status == 0


def test_allowing_a_name_allows_no_other_class_and_no_other_place(content, marker, tmp_path):
    for name, place, allowed in [
        ("own_module.Other", "encoder", "own_module.Other"),  # no set encoder
        ("own_module.MyEncoder", "denoiser", "own_module.MyEncoder"),
        ("hostile_module.X", "encoder", "own_module.MyEncoder"),
        ("os.system", "encoder", "os.system"),
        ("own_module.Nosuch", "encoder", "own_module.Nosuch"),
    ]:
        path = write(put(content, (HYPERPARAMETERS, place, "class_path"), name), tmp_path / "a.ckpt")
        with pytest.raises(UserError):
            lightning_nsd.load(path, allow=[allowed])
    assert not marker.exists()


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
