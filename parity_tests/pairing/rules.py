"""Rules by which a user says which parameters belong together.

    ("layers.{i}.attn.qkv.weight", "block_{i}/attn/{query,key,value}/kernel")
    ("embed.weight", "embed/kernel", TRANSPOSED)

A name in braces stands for any number or word without a separator, the same on both sides. Words with commas in braces
stand for several parameters: those of one side are the parts of the other side's one, in this order.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

BRACES = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        key: pattern of torch's key, or keys.
        path: pattern of JAX's path, or paths.
        how: a Layout; a Transform for several; None where shapes say it.
    """

    key: str
    path: str
    how: Any = None

    def matches(self, keys: Sequence[str]) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
        """Torch's keys and JAX's paths that belong together, for every value of the braces."""
        patterns = _alternatives(self.key)
        for found in (re.fullmatch(_expression(patterns[0]), key) for key in keys):
            if found is not None:
                names = found.groupdict()
                yield _filled(patterns, names), _filled(_alternatives(self.path), names)


def as_rules(given: Iterable[Rule | tuple[Any, ...]]) -> list[Rule]:
    """Rules that may be written as tuples."""
    return [rule if isinstance(rule, Rule) else Rule(*rule) for rule in given]


def _alternatives(pattern: str) -> list[str]:
    """A pattern for every choice among words with commas in braces."""
    choices = [words.split(",") for words in BRACES.findall(pattern) if "," in words]
    found = []
    for chosen in product(*choices):
        rest = iter(chosen)
        found.append(BRACES.sub(lambda m: next(rest) if "," in m[1] else m[0], pattern))  # noqa: B023
    return found


def _expression(pattern: str) -> str:
    parts = re.split(r"(\{[^{}]*\})", pattern)
    seen: set[str] = set()
    expression = ""
    for part in parts:
        if part.startswith("{"):
            name = part[1:-1]
            expression += f"(?P={name})" if name in seen else f"(?P<{name}>[^./]+)"
            seen.add(name)
        else:
            expression += re.escape(part)
    return expression


def _filled(patterns: Sequence[str], names: dict[str, str]) -> tuple[str, ...]:
    return tuple(BRACES.sub(lambda m: names[m[1]], pattern) for pattern in patterns)
