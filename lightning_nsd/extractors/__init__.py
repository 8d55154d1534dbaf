"""Networks from images to features, by name or by class path."""

from lightning_nsd.extractors.build import (
    NAMES,
    build_extractor,
    build_score_extractor,
    check_name,
    distance_name,
    kernel_name,
)
from lightning_nsd.extractors.extractor import Extractor

__all__ = [
    "NAMES",
    "Extractor",
    "build_extractor",
    "build_score_extractor",
    "check_name",
    "distance_name",
    "kernel_name",
]
