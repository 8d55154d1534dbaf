"""Checkpoints of the JAX source: loaded, checked key by key, trained on, and compared with its golden values."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from lightning_nsd.checkpoints.io import read_checkpoint
from lightning_nsd.checkpoints.loading import build_model
from lightning_nsd.cli import main
from lightning_nsd.convert import load_jax_source
from lightning_nsd.diffusion.gaussian import GaussianDiffusion
from lightning_nsd.errors import UserError
from lightning_nsd.files.orbax_folder import flatten
from lightning_nsd.settings.config_files import find_config
from tests.convert.make_source import source_tree
from tests.training.conftest import run

checkpointing = pytest.importorskip("orbax.checkpoint")
SHARED = Path(__file__).parents[3] / "shared" / "golden"
COMMITTED = Path(__file__).parent / "golden"
WHOLE = (
    "crossattn_setvit",
    "film_setvit",
    "film_setvit_learn_sigma",
    "film_setvit_variational",
    "g2_film_setvit",
    "g3_film_vit_input_dependent",
)
TOLERANCE = 1e-5


def save(path, tree):
    checkpointing.PyTreeCheckpointer().save(path.absolute(), tree)
    return path


def npz(path, tree):
    import json

    arrays = {f"params/{key}": value for key, value in flatten(tree["params"]).items()}
    np.savez(path, config=json.dumps(tree["cfg"]), **arrays)
    return path


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"mode_conditioning": "lag", "pool": "mean"},
        {"mode_context": "variational"},
        {"learn_sigma": True, "noise_schedule": "cosine"},
        {"predict_xstart": True, "image_size": 16, "sample_size": 2, "in_channels": 1, "depth": 1, "num_heads": 2},
        {"version": 2},
        {"version": 3},
        {"version": 3, "encoder_tokenize_mode": "per_sample_mean", "encoder_use_mlp_head": True, "pool": "mean"},
        {"version": 3, "encoder_mode": "vit", "pool": "mean", "encoder_patch_size": 2, "input_dependent": True},
        {"version": 3, "encoder_mode": "vit", "encoder_use_mlp_head": True, "mode_context": "variational"},
        {"version": 3, "dit_patch_size": 2, "joint": True, "cond_norm": True, "shrunk": 0.9},
    ],
)
def test_any_configuration_loads_from_orbax_and_npz(tmp_path, changed):
    tree = source_tree(**changed)
    config = tree["cfg"]
    by_npz = load_jax_source(npz(tmp_path / "x.npz", tree))
    swapped = {**tree, "params": tree["ema_params"], "ema_params": tree["params"]}
    by_orbax = load_jax_source(save(tmp_path / "orbax", swapped))
    for a, b in zip(by_npz.model.parameters(), by_orbax.model.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not by_npz.training
    n_shot = config["sample_size"] - (changed.get("version") == 3)
    assert by_npz.n_shot == n_shot
    support = torch.zeros(1, n_shot, config["in_channels"], config["image_size"], config["image_size"])
    drawn = by_npz.sample(support, 2, torch.Generator().manual_seed(0))
    assert drawn.shape == (1, 2, config["in_channels"], config["image_size"], config["image_size"])


def test_the_moving_average_is_what_is_loaded(tmp_path):
    tree = source_tree()
    model = load_jax_source(save(tmp_path / "orbax", tree)).model
    expected = tree["ema_params"]["dit"]["params"]["FinalLayer_0"]["Dense_1"]["kernel"].T
    np.testing.assert_array_equal(model.denoiser.final.linear.weight.detach(), expected)


def small_cifar100_settings():
    """The model section of cifar100.yaml, its sizes those of `source_tree`."""
    settings = yaml.safe_load(Path(find_config("cifar100.yaml")).read_text(encoding="utf-8"))["model"]
    settings["encoder"]["init_args"] |= {"patch_size": 4, "context_dim": 12}
    settings["denoiser"]["init_args"] |= {"patch_size": 4, "hidden_size": 16, "depth": 2, "num_heads": 4}
    settings["diffusion"]["num_steps"] = 50
    return {**settings, "image_size": 8, "channels": 3, "n_shot": 3}


def test_training_goes_on_with_weights_average_moments_and_step(tmp_path):
    tree = source_tree()
    source = save(tmp_path / "orbax", tree)
    assert main(["convert", "--input", str(source), "--output", str(tmp_path / "from_jax.ckpt")]) == 0
    checkpoint = read_checkpoint(tmp_path / "from_jax.ckpt")
    final = {"params": "model", "ema_params": "ema"}
    for ours, theirs in final.items():
        expected = tree[ours]["dit"]["params"]["FinalLayer_0"]["Dense_1"]["kernel"].T
        np.testing.assert_array_equal(checkpoint["state_dict"][f"{theirs}.denoiser.final.linear.weight"], expected)
    module = build_model(small_cifar100_settings(), "test")
    trainer = run(tmp_path / "run", 17, module, ckpt_path=tmp_path / "from_jax.ckpt")
    assert trainer.global_step == 17
    optimizer = trainer.optimizers[0]
    assert {float(state["step"]) for state in optimizer.state.values()} == {17.0}
    assert module.sample(torch.zeros(1, 3, 3, 8, 8), 1).isfinite().all()


@pytest.mark.smoke
def test_the_next_step_is_optaxs(tmp_path):
    optax, jnp = pytest.importorskip("optax"), pytest.importorskip("jax.numpy")
    tree = source_tree()
    convert = ["convert", "--input", str(save(tmp_path / "orbax", tree)), "--output", str(tmp_path / "x.ckpt")]
    assert main(convert) == 0
    checkpoint = read_checkpoint(tmp_path / "x.ckpt")
    module = build_model(checkpoint["lightning_nsd"], "test")
    module.load_state_dict(checkpoint["state_dict"])
    from lightning_nsd.training.groups import parameter_groups

    optimizer = torch.optim.AdamW(parameter_groups(module.model, None, None), lr=1.0)
    optimizer.load_state_dict(checkpoint["optimizer_states"][0])
    layer = module.model.denoiser.final.linear
    gradient = np.random.default_rng(1).standard_normal(layer.weight.shape[::-1]).astype(np.float32)
    layer.weight.grad = torch.from_numpy(gradient.T.copy())
    optimizer.step()

    def leaf(branch):
        return jnp.asarray(branch["dit"]["params"]["FinalLayer_0"]["Dense_1"]["kernel"])

    adam = tree["opt_state"][0]
    state = optax.ScaleByAdamState(jnp.asarray(7), leaf(adam["mu"]), leaf(adam["nu"]))
    update, _ = optax.scale_by_adam().update(jnp.asarray(gradient), state)
    expected = leaf(tree["params"]) - 1e-3 * update
    np.testing.assert_allclose(layer.weight.detach().T, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("version", [2, 3])
def test_training_goes_on_from_every_version(tmp_path, version):
    changed = {"encoder_mode": "vit", "pool": "mean", "joint": True, "cond_norm": True, "shrunk": 0.9}
    tree = source_tree(version=version, **(changed if version == 3 else {}))
    source = save(tmp_path / "orbax", tree)
    assert main(["convert", "--input", str(source), "--output", str(tmp_path / "x.ckpt")]) == 0
    module = build_model(read_checkpoint(tmp_path / "x.ckpt")["lightning_nsd"], "test")
    trainer = run(tmp_path / "run", 17, module, ckpt_path=tmp_path / "x.ckpt")
    assert trainer.global_step == 17
    states = trainer.optimizers[0].state
    assert {float(state["step"]) for state in states.values()} == {17.0}
    moved = module.model.get_parameter("encoder.position").detach().numpy()
    start = tree["params"]["encoder"]["params"]["pos_embedding"]
    assert moved.shape == start.shape and not np.array_equal(moved, start)


def test_a_table_of_positions_that_weight_decay_shrank_is_kept_and_not_trained(tmp_path):
    tree = source_tree(shrunk=0.8)
    assert main(["convert", "--input", str(save(tmp_path / "orbax", tree)), "--output", str(tmp_path / "x.ckpt")]) == 0
    module = build_model(read_checkpoint(tmp_path / "x.ckpt")["lightning_nsd"], "test")
    run(tmp_path / "run", 9, module, ckpt_path=tmp_path / "x.ckpt")
    stored = tree["params"]["dit"]["params"]["pos_embed"]
    np.testing.assert_array_equal(module.model.denoiser.stored_position, stored)
    assert "denoiser.stored_position" not in load_jax_source(npz(tmp_path / "x.npz", source_tree())).model.state_dict()


def test_a_set_encoder_of_the_third_version_may_be_given_fewer_images(tmp_path):
    model = load_jax_source(npz(tmp_path / "x.npz", source_tree(version=3)))
    assert (model.n_shot, model.model.encoder.slots) == (3, 4)
    two = torch.randn(1, 2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    filled = torch.cat([two, torch.zeros(1, 1, 3, 8, 8)], dim=1)
    t = torch.tensor([5])
    torch.testing.assert_close(model.model.support_context(two, t), model.model.support_context(filled, t))


# ---- what goes wrong ----


def without(tree, *path):
    branch = tree
    for key in path[:-1]:
        branch = branch[key]
    del branch[path[-1]]


def break_it(tree, how):
    encoder, dit = tree["params"]["encoder"]["params"], tree["params"]["dit"]["params"]
    if how == "missing":
        without(encoder, "transformer", "layer_3", "LSA_0", "temperature")
    elif how == "extra":
        dit["Surprise_0"] = {"kernel": np.zeros((2, 2), np.float32)}
    elif how == "shape":
        dit["FinalLayer_0"]["Dense_1"]["bias"] = np.zeros(5, np.float32)
    elif how == "axes":
        dit["PatchEmbed_0"]["Conv_0"]["kernel"] = np.zeros((2, 2), np.float32)
    elif how == "scalar":
        dit["DiTBlock_0"]["MultiHeadDotProductAttention_0"]["key"]["kernel"] = np.zeros((), np.float32)
    elif how == "positions":
        dit["pos_embed"] = np.zeros((1, 9, 16), np.float32)
    elif how == "config":
        del tree["cfg"]["mode_conditioning"]
    elif how == "encoder":
        tree["cfg"]["encoder_mode"] = "vit"
    elif how == "classes":
        tree["cfg"]["class_cond"] = True
    elif how == "pool":
        tree["cfg"]["pool"] = "sum"
    elif how == "heads":
        without(encoder, "transformer", "layer_0", "LSA_0", "Dense_0", "kernel")
        encoder["transformer"]["layer_0"]["LSA_0"]["Dense_0"]["kernel"] = np.zeros((12, 3 * 100), np.float32)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("missing", "encoder/params/transformer/layer_3/LSA_0/temperature is missing"),
        ("extra", "dit/params/Surprise_0/kernel: parameters that this model does not have"),
        ("shape", r"FinalLayer_0/Dense_1/bias gives shape \(5,\)"),
        ("axes", "PatchEmbed_0/Conv_0/kernel has shape .* 4 axes"),
        ("scalar", "Attention_0/key/kernel, .*: an unexpected number of axes"),
        ("positions", r"dit/params/pos_embed gives shape \(1, 9, 16\)"),
        ("config", "mode_conditioning"),
        ("encoder", "only vit_set"),
        ("classes", "class_cond"),
        ("pool", "pool is 'sum'"),
        ("heads", "attention is 100 wide"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, how, message):
    tree = source_tree()
    break_it(tree, how)
    with pytest.raises(UserError, match=message):
        load_jax_source(npz(tmp_path / "x.npz", tree))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"mode_conditioning": "lag"}, "the very image that is to be denoised"),
        ({"use_vae": True}, "use_vae = True has no counterpart"),
        ({"use_projection_head": True}, "use_projection_head = True has no counterpart"),
        ({"encoder_tokenize_mode": "sum"}, "encoder_tokenize_mode is 'sum'"),
        ({"encoder_mode": "vit", "pool": "mean_patch"}, "pool is 'mean_patch'"),
        ({"encoder_heads": 5}, "attention is 12 wide"),
        ({"encoder_dim_head": None}, "encoder_dim_head"),
        ({"sample_size": 1}, "no image is left"),
    ],
)
def test_what_the_third_version_has_and_nothing_here_is_named(tmp_path, changed, message):
    tree = source_tree(version=3)
    tree["cfg"] = {name: value for name, value in {**tree["cfg"], **changed}.items() if value is not None}
    if changed.get("encoder_mode") == "vit":
        tree = source_tree(version=3, **changed)
    with pytest.raises(UserError, match=message):
        load_jax_source(npz(tmp_path / "x.npz", tree))


def test_a_file_that_is_missing_or_truncated_is_named(tmp_path):
    with pytest.raises(UserError, match=r"no file .*x\.npz"):
        load_jax_source(tmp_path / "x.npz")
    path = npz(tmp_path / "x.npz", source_tree())
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(UserError, match=r"x\.npz is truncated"):
        load_jax_source(path)
    with pytest.raises(UserError, match="no Orbax checkpoint"):
        load_jax_source(tmp_path)


# ---- golden values ----


def relative_error(ours, theirs):
    ours = ours.detach().double().numpy() if torch.is_tensor(ours) else np.asarray(ours)
    assert ours.shape == theirs.shape
    assert np.isfinite(ours).all()
    return float(np.abs(ours - theirs).max() / max(1e-30, np.abs(theirs).max()))


def test_the_committed_golden_files_are_there():
    assert [path.name for path in sorted(COMMITTED.glob("*.npz"))] == ["schedules_and_steps.npz"]
    assert sum(path.stat().st_size for path in COMMITTED.iterdir()) < 1_000_000


@pytest.mark.smoke
@pytest.mark.filterwarnings("ignore:The noise schedule reaches beta = 1")
def test_the_committed_values_of_the_source_are_reproduced():
    """Noised images and loss terms, from the source's own network outputs."""
    with np.load(COMMITTED / "schedules_and_steps.npz", allow_pickle=False) as stored:
        values = {key: torch.from_numpy(stored[key]) if stored[key].ndim else str(stored[key]) for key in stored.files}
    for name in ("film_setvit", "film_setvit_learn_sigma"):
        d = {key.removeprefix(f"{name}/"): value for key, value in values.items() if key.startswith(f"{name}/")}
        learned = name.endswith("learn_sigma")
        diffusion = GaussianDiffusion(20, d["schedule"], variance="learned" if learned else "fixed_large")
        x_t = diffusion.q_sample(d["x_0"], d["t"], d["noise"])
        assert relative_error(x_t, d["x_t"].numpy()) < TOLERANCE
        terms = _loss_terms(diffusion, d)
        assert set(terms) == ({"mse", "vb"} if learned else {"mse"})
        for key, value in terms.items():
            assert relative_error(value, d[key].numpy()) < TOLERANCE


def _loss_terms(diffusion, d):
    from lightning_nsd.diffusion.loss import diffusion_loss_terms

    return diffusion_loss_terms(diffusion, d["model_output"], d["x_0"], d["x_t"], d["t"], d["noise"])


@pytest.mark.skipif(not SHARED.is_dir(), reason="the whole golden files are too large for the repository")
@pytest.mark.filterwarnings("ignore:The noise schedule reaches beta = 1")
@pytest.mark.parametrize("name", WHOLE)
def test_the_whole_golden_file_is_reproduced(name):
    path = SHARED / f"{name}.npz"
    with np.load(path, allow_pickle=False) as stored:
        d = {key: np.array(stored[key]) for key in stored.files}
    module = load_jax_source(path).double()

    def tensor(key):
        return torch.from_numpy(d[key])

    images, t, noise = tensor("images"), tensor("t").long(), tensor("noise")
    xi = tensor("context_eps") if "context_eps" in d else None
    knows_time = module.model.time_conditioned
    context = module.contexts(images, xi, t if knows_time else None)
    errors = {"context": relative_error(context.reshape(d["context"].shape), d["context"])}
    output = module.denoise(tensor("x_t"), t.repeat_interleave(images.shape[1]), context)
    errors["output"] = relative_error(output, d["model_output"])
    terms = module.loss_terms(images, t, noise, xi)
    for key in ("mse", "vb", "kl_context", "loss"):
        if key in d:
            errors[key] = relative_error(terms[key].reshape(d[key].shape), d[key])
    terms["loss"].backward()
    errors |= gradient_errors(module, path, d)
    if "step_t" in d:
        errors |= step_errors(module, d, context.detach()) | adamw_errors(module, path, d)
    assert max(errors.values()) < TOLERANCE, errors
    assert len(errors) > 20


def mapped(module, path, d, prefix):
    """The golden arrays under a prefix, by our keys; those of the larger parameters are not in the files."""
    from lightning_nsd.convert.jax_source import read_jax_source

    arrays = {key.removeprefix(prefix): value for key, value in d.items() if key.startswith(prefix)}
    entries = [entry for entry in read_jax_source(path).entries if all(key in arrays for key in entry.sources)]
    return {entry.key: entry.convert(*(arrays[key] for key in entry.sources)) for entry in entries}


def gradient_errors(module, path, d):
    parameters = dict(module.model.named_parameters())
    return {
        f"gradient of {key}": relative_error(parameters[key].grad, value)
        for key, value in mapped(module, path, d, "grad/").items()
        if np.abs(value).max() > 1e-12
    }


def adamw_errors(module, path, d):
    torch.optim.AdamW(module.model.parameters(), lr=1e-3, weight_decay=0.01).step()
    parameters = dict(module.model.named_parameters())
    return {
        f"AdamW on {key}": relative_error(parameters[key], value)
        for key, value in mapped(module, path, d, "after_adamw/").items()
    }


def step_errors(module, d, context):
    from lightning_nsd.diffusion.sampler import DDIM

    diffusion, errors = module.diffusion, {}
    sampler = DDIM(num_steps=None)
    table = sampler.table(diffusion.tables.schedule, diffusion)
    for i, t in enumerate(d["step_t"].tolist()):
        x = torch.from_numpy(d["step_x_t"][i])
        times = torch.full((len(x),), int(t))
        with torch.no_grad():
            output = module.denoise(x, times, context)
        alpha_bar = diffusion.tables.at("alpha_bar", times, x)
        x_0 = diffusion.predict_x_0(x, diffusion.split(output)[0], alpha_bar).clamp(-1, 1)
        mean = diffusion.posterior(x_0, x, times).mean
        log_variance = diffusion.p_mean_variance(output, x, times).log_variance
        k = len(table.x_t) - 1 - int(t)
        errors |= {
            f"mean at {t}": relative_error(mean, d["step_mean"][i]),
            f"log variance at {t}": relative_error(log_variance.expand_as(x), d["step_log_variance"][i]),
            f"x_0 at {t}": relative_error(x_0, d["step_pred_x0"][i]),
            f"DDIM at {t}": relative_error(table.x_t[k] * x + table.x_0[k] * x_0, d["step_ddim"][i]),
        }
    return errors
