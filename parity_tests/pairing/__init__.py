"""A torch network held against a JAX network, whoever wrote them: see `Pairing`."""

from parity_tests.pairing.pairing import Pairing
from parity_tests.pairing.rules import Rule

__all__ = ["Pairing", "Rule"]
