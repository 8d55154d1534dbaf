"""How alike two parameters' names are: their words, whatever a library calls the usual things."""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from functools import cache

SYNONYMS = {
    word: words[0]
    for words in (
        ("weight", "kernel", "scale", "embedding", "gamma", "w"),
        ("bias", "beta", "b", "offset"),
        ("running_mean", "mean"),
        ("running_var", "var"),
        ("attention", "attn", "selfattention", "mha", "multiheadattention", "multiheaddotproductattention"),
        ("query", "q", "to_q", "q_proj"),
        ("key", "k"),
        ("value", "v"),
        ("norm", "ln", "layernorm", "bn", "batchnorm", "groupnorm", "gn", "norm1d", "rmsnorm"),
        ("mlp", "ffn", "ff", "feedforward", "mlpblock"),
        ("layer", "layers", "block", "blocks", "encoderblock", "stage", "stages", "resblock", "resnets", "h"),
        ("linear", "dense", "fc", "proj", "projection", "lin"),
        ("embedding_table", "embed", "embeddings", "emb", "tok", "token", "wte"),
        ("position", "pos", "positions", "posembed", "wpe", "posembedding"),
        ("convolution", "conv", "conv2d"),
        ("head", "classifier", "logits"),
        ("output", "out"),
        ("downsample", "shortcut", "skip", "down"),
    )
    for word in words
}
KINDS = {"weight": "weight", "bias": "bias", "running_mean": "mean", "running_var": "variance"}


@cache
def words_of(name: str) -> tuple[str, ...]:
    """A name's words, numbers apart, as they are usually spelled: `block_3/attn/q` is layer 3 attention query."""
    found = []
    for part in re.split(r"[./]", name):
        snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", part).lower()
        if snake in SYNONYMS:
            found.append(SYNONYMS[snake])
            continue
        for word in re.findall(r"[a-z]+|\d+", snake):
            found.append(SYNONYMS.get(word, word))
    return tuple(found)


def kind_of(name: str) -> str:
    """Whether a parameter is a `weight`, a `bias`, a `mean` or a `variance`; its own last word where it is none."""
    last = re.split(r"[./]", name)[-1]
    for word in (last, re.sub(r"^.*_", "", last)):
        spelled = SYNONYMS.get(word.lower())
        if spelled in KINDS:
            return KINDS[spelled]
    return last


def similarity(a: str, b: str) -> float:
    """From 0, nothing alike, to 1, the same words in the same order; numbers count as much as words."""
    left, right = _without_kind(words_of(a)), _without_kind(words_of(b))
    if not left and not right:
        return 1.0
    together = SequenceMatcher(None, left, right, autojunk=False).ratio()
    numbers, others = ([word for word in words if word.isdigit()] for words in (left, right))
    return 0.75 * together + 0.25 * SequenceMatcher(None, numbers, others, autojunk=False).ratio()


def nearest(name: str, others: Sequence[str], count: int = 3) -> list[str]:
    """The names that are most like one."""
    return sorted(others, key=lambda other: -similarity(name, other))[:count]


def is_inside(name: str, module: str, separator: str) -> bool:
    """Whether a parameter or a module lies in a module; all do in the whole network, whose name is empty."""
    return not module or name.startswith(module + separator)


def _without_kind(words: tuple[str, ...]) -> tuple[str, ...]:
    return words[:-1] if words and words[-1] in KINDS else words
