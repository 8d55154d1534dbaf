"""The ladder of checks that holds lightning_nsd against jax_reference, and `Pairing` for any other two networks."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from parity_tests.pairing import Pairing

__all__ = ["Pairing"]


def __getattr__(name: str) -> Any:
    """`Pairing`, when it is asked for: it imports both frameworks."""
    if name == "Pairing":
        from parity_tests.pairing import Pairing

        return Pairing
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
