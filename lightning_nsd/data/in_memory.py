"""The shell around data sets that are read as a whole and then divided by class."""

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from lightning_nsd.data.datamodule import EpisodeDataModule, Split
from lightning_nsd.data.image_set import ImageSet
from lightning_nsd.errors import UserError


class InMemoryDataModule(EpisodeDataModule):
    """Reads all splits at once, hands each over once, and keeps no second copy.

    Args:
        root: folder (or file) of the data set; read at the first use, not here.
    """

    def __init__(self, root: str, image_size: int, channels: int, **kwargs: Any) -> None:
        super().__init__(image_size=image_size, channels=channels, **kwargs)
        self.root = Path(root).expanduser()
        self._waiting: dict[Split, ImageSet] = {}
        self._sizes: dict[Split, int] | None = None  # classes of each split, once they are read

    @abstractmethod
    def read_splits(self) -> Mapping[Split, Mapping[str, Tensor] | ImageSet]:
        """Split → class name → uint8 images `(n, C, H, W)`; or an image set, which is not copied.

        Raises:
            UserError: data that is missing or broken, with the path and the remedy.
        """

    def prepare_data(self) -> None:
        """Read once on one process, so that the others find the cache."""
        if self._sizes is None:
            self._read()

    def load_split(self, split: Split) -> ImageSet:
        if self._sizes is None or (split in self._sizes and split not in self._waiting):
            self._read()
        if split not in self._waiting:
            filled = ", ".join(f"{name} {size}" for name, size in (self._sizes or {}).items())
            raise UserError(
                f"The {split} split of {self.root} holds no class (classes of the others: {filled or 'none'}). "
                "Add images of its classes, or change how the classes are divided."
            )
        return self._waiting.pop(split)

    def _read(self) -> None:
        splits = self.read_splits()
        self._waiting = {
            split: classes if isinstance(classes, ImageSet) else ImageSet.from_classes(classes)
            for split, classes in splits.items()
            if len(classes)
        }
        self._sizes = {split: len(image_set) for split, image_set in self._waiting.items()}
