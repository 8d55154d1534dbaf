"""The precisions that strategies of this room take, by Lightning's names."""

from typing import Literal

Precision = Literal["32-true", "bf16-mixed"]
"""float32 throughout, or weights in float32 and products in bfloat16 by autocast."""
