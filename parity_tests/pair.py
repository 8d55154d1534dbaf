"""One configuration built in both frameworks with the same random weights, and inputs for both."""

import copy
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import jax
import numpy as np
import torch
from flax import nnx

from jax_reference import experiment as jax_experiment
from jax_reference import train_step
from jax_reference.training.draws import Draws
from lightning_nsd.accelerators.device import run_recorded
from lightning_nsd.checkpoints import loading as torch_loading
from lightning_nsd.checkpoints.contents import check_weights
from lightning_nsd.errors import UserError
from lightning_nsd.rng import philox
from parity_tests import weights
from parity_tests.backends import torch_device
from parity_tests.pairing.arrays import to_jax, to_numpy
from parity_tests.pairing.random_weights import randomize
from parity_tests.tolerances import Dtype


class Inputs(NamedTuple):
    """One batch in NumPy; see `jax_reference.training.draws.Draws`."""

    images: np.ndarray
    t: np.ndarray
    noise: np.ndarray
    context_noise: np.ndarray | None
    dropped: np.ndarray | None
    classes: np.ndarray | None


class Pair:
    """A config's `model` section, built in torch and in JAX, with the same weights.

    Args:
        settings: the section, with image_size, channels and n_shot.
        dtype: of parameters and inputs.
        seed: of the weights.
        backend: where torch computes, `torch` or `xla`.
        mutate: changes the torch side after building; a check of the checks.
        state: weights instead of random ones, by torch's keys.
        compiled: compile JAX's loss as one function. Operation by operation takes less where others have had the same
            shapes, and the whole where they come once.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        dtype: Dtype = "float64",
        seed: int = 0,
        backend: str = "torch",
        mutate: Callable[[Any], None] | None = None,
        state: Mapping[str, torch.Tensor] | None = None,
        compiled: bool = False,
    ) -> None:
        self.compiled = compiled
        self.settings = dict(settings)
        self.dtype: Dtype = dtype
        self.device = torch_device(backend)
        self.ours = torch_loading.build_model(copy.deepcopy(self.settings), "parity_tests").eval()
        self.ours.to(getattr(torch, dtype))
        if state is None:
            randomize(self.ours.model, seed)
        else:
            check_weights(state, self.ours.model.state_dict(), "--ckpt")
            self.ours.model.load_state_dict(state)
        self.ours.evaluation_model.load_state_dict(self.ours.model.state_dict())
        self.diffusion = jax_experiment.build_diffusion(self.settings)
        self.kl_weight = float(self.settings.get("kl_weight", 1.0))
        space = self.ours.space
        shapes = jax_experiment.Shape(space.size, space.channels), jax_experiment.Shape(*space.seen)
        self.theirs = nnx.eval_shape(lambda: jax_experiment.build_network(self.settings, nnx.Rngs(0), *shapes))
        self.key_map = weights.key_map(self.ours.model, self.theirs)
        self.arrays = self.key_map.to_jax(weights.state_of(self.ours.model))
        self.params = weights.to_tree(self.arrays)
        weights.load(self.theirs, self.arrays)
        self.theirs.eval()
        if mutate is not None:
            mutate(self.ours)
        self.ours.to(self.device)

    @cached_property
    def structure(self) -> tuple[Any, Any]:
        """The JAX network's graph, and its variables other than parameters."""
        graph, _, rest = train_step.split(self.theirs)
        return graph, rest

    def inputs(self, batch: int = 2, number: int = 0) -> Inputs:
        """Episodes of 8-bit images with black and white pixels, and everything else that a loss needs.

        Queries whose context is dropped are so chosen that of each episode another one is: an order of contexts that is
        wrong must not hide behind them. The timesteps include the first and the last. With a learned variance there is
        no t = 0: the likelihood of a bin far out in a normal distribution's tail is a difference of two nearly equal
        numbers, so what an untrained network gives there is mostly rounding. That term has a check of its own, on
        chosen outputs.
        """
        random = philox(1, number)
        model, diffusion = self.ours.model, self.ours.diffusion
        n = self.ours.n_shot + 1
        size, channels = self.ours.image_size, self.ours.channels
        pixels = np.clip(random.integers(-64, 320, (batch, n, channels, size, size)), 0, 255)
        first = 1 if diffusion.variance == "learned" else 0
        t = random.integers(first, diffusion.num_steps, batch)
        if batch > 1:
            t[0], t[-1] = first, diffusion.num_steps - 1
        shape = model.context_noise_shape(n)
        cast = np.dtype(self.dtype)
        noise = random.standard_normal((batch * n, channels, size, size))
        return Inputs(
            (pixels / 127.5 - 1).astype(cast),
            t,
            noise.astype(cast),
            self._context_noise(random, (batch * n, *shape)).astype(cast) if shape else None,
            np.arange(batch * n) % 4 == 1 if model.null_context is not None else None,
            np.array([2, -1, 0, 1])[np.arange(batch) % 4] if model.takes_classes else None,
        )

    def _context_noise(self, random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """What a context's noise is drawn from; uniform numbers with the ends of their interval."""
        if self.ours.model.context_noise_kind == "normal":
            return random.standard_normal(shape)
        uniform = random.random(shape)
        uniform.flat[0], uniform.flat[-1] = 0.0, 1.0
        return uniform

    def support(self, inputs: Inputs) -> np.ndarray:
        """What images are drawn from: support sets, or classes that training sees."""
        return inputs.images[:, 1:] if inputs.classes is None else np.abs(inputs.classes)

    def on_device(self, value: np.ndarray | None) -> Any:
        """A NumPy array as a tensor where torch computes."""
        return None if value is None else torch.from_numpy(np.ascontiguousarray(value)).to(self.device)

    def our_loss(self, inputs: Inputs) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """The terms of the torch side's loss, and its gradient by every parameter."""
        self.ours.model.zero_grad(set_to_none=True)
        terms = self.ours.loss_terms(*(self.on_device(value) for value in inputs))
        terms["loss"].backward()
        run_recorded(self.device)
        parameters = dict(self.ours.model.named_parameters())
        missing = [key for key, p in parameters.items() if p.requires_grad and p.grad is None]
        if missing:
            raise UserError(f"The loss has no gradient by {', '.join(missing)}: freeze them, or let it use them.")
        gradients = {key: to_numpy(torch.zeros_like(p) if p.grad is None else p.grad) for key, p in parameters.items()}
        return {name: to_numpy(value) for name, value in terms.items()}, gradients

    def their_loss(self, inputs: Inputs) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """The same of the JAX side, by torch's keys."""
        graph, rest = self.structure
        images, *draws = (to_jax(value) for value in inputs)

        def compute(params: Any, rest: Any, images: jax.Array, draws: Draws) -> tuple[Any, Any]:
            return train_step.loss_and_gradients(graph, self.diffusion, self.kl_weight, params, rest, images, draws)

        if self.compiled:
            compute = jax.jit(compute)
        terms, gradients = compute(self.params, rest, images, Draws(*draws))
        jax.block_until_ready(gradients)
        return {name: to_numpy(value) for name, value in terms.items()}, weights.to_torch_state(self.key_map, gradients)
