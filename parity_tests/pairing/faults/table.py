"""Mistakes of the kinds that ports make, each one piece of text in the JAX network."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One mistake.

    Attributes:
        original: text of `jax_network.py` that stands there once.
        replaced: what stands there instead.
        module: the torch module that has to be named first.
        words: a part of the explanation; None where no simple relation says it.
    """

    original: str
    replaced: str
    module: str
    words: str | None


FAULTS = (
    Fault("epsilon=1e-6, rngs=rngs)\n        self.attention", "epsilon=1e-5, rngs=rngs)\n        self.attention",
          "blocks.0.norm_1", "eps = 1e-05"),
    Fault("self.norm_1 = nnx.GroupNorm(c_in, 4, epsilon=1e-5", "self.norm_1 = nnx.GroupNorm(c_in, 4, epsilon=1e-6",
          "down.norm_1", "eps = 1e-06"),
    Fault("nnx.BatchNorm(channels, epsilon=1e-5", "nnx.BatchNorm(channels, epsilon=1e-3", "norm", "eps = 0.001"),
    Fault("nnx.GroupNorm(c_out, 4,", "nnx.GroupNorm(c_out, 8,", "down.norm_2", "8 groups"),
    Fault("approximate=True", "approximate=False", "blocks.0.mlp", "GELU by erf"),
    Fault("jax.nn.gelu(self.linear_1(x), approximate=True)", "jax.nn.silu(self.linear_1(x))", "blocks.0.mlp", "SiLU"),
    Fault("[jnp.cos(angles), jnp.sin(angles)]", "[jnp.sin(angles), jnp.cos(angles)]", "time", "reverse"),
    Fault("ddof=1", "ddof=0", "standardise", "biased"),
    Fault("/ jnp.sqrt(q.shape[-1])", "/ q.shape[-1]", "blocks.0.attention", "1/width"),
    Fault("/ jnp.sqrt(q.shape[-1])", "", "blocks.0.attention", "not scaled"),
    Fault("jax.nn.softmax(logits, axis=-1)", "jax.nn.softmax(logits, axis=-2)",
          "blocks.0.attention", "over the queries"),
    Fault("heads = (b, n, self.num_heads, d // self.num_heads)", "heads = (b, n, d // self.num_heads, self.num_heads)",
          "blocks.0.attention", None),
    Fault("self.conv_1(jax.nn.silu(self.norm_1(x)))", "self.conv_1(jax.nn.relu(self.norm_1(x)))", "down", "ReLU"),
    Fault("scale, shift = jnp", "shift, scale = jnp", "down", "in reverse order"),
    Fault("(1 + scale) + shift", "scale + shift", "down", "without its last term"),
    Fault("return self.skip(x) + self.conv_2", "return self.conv_2", "down", "without its first term"),
    Fault("x = x + self.attention(self.norm_1(x))", "x = self.attention(self.norm_1(x))",
          "blocks.0", "without its first term"),
    Fault("return x + self.mlp(self.norm_2(x))", "return x + self.mlp(x)", "blocks.0", "without norm_2"),
    Fault("(3, 3), stride, padding=pad", '(3, 3), stride, padding="SAME"', "down.conv_1", "SAME"),
    Fault('(b, 2 * h, 2 * w, c), "nearest"', '(b, 2 * h, 2 * w, c), "bilinear"', "up", "bilinear"),
    Fault("tokens.reshape(b, h, w, c)", "tokens.reshape(b, w, h, c).transpose(0, 2, 1, 3)", "network", None),
    Fault("return self.linear_2(jax.nn.silu(self.linear_1(features)))",
          "return 2 * self.linear_2(jax.nn.silu(self.linear_1(features)))", "time", "times 2"),
    Fault("return self.out(scaled_dot", "return 1 + self.out(scaled_dot", "blocks.0.attention", "plus 1"),
    Fault("self.head(tokens.mean(1))", "self.head(tokens.mean(1))[:, ::-1]", "network", "turned round"),
    Fault("jax.nn.relu(self.norm(", "jax.nn.gelu(self.norm(", "network", "GELU by tanh"),
    Fault("jnp.arange(half) / half", "jnp.arange(half) / (half - 1)", "time", None),
)  # fmt: skip
