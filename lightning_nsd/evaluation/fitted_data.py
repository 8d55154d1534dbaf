"""Another data set's images in the size and the channels of a model."""

from lightning_nsd.data.datamodule import EpisodeDataModule, Split
from lightning_nsd.data.image_set import ImageSet
from lightning_nsd.data.transforms import fit_images


class FittedData(EpisodeDataModule):
    """The classes of a data set whose images are resized, and made grey or RGB, for a model that draws others.

    Args:
        data: the data set.
        image_size: of the model.
        channels: of the model.
    """

    def __init__(self, data: EpisodeDataModule, image_size: int, channels: int) -> None:
        super().__init__(image_size, channels, n_shot=data.n_shot, seed=data.seed, eval_seed=data.eval_seed)
        self.data = data

    def prepare_data(self) -> None:
        self.data.prepare_data()

    def load_split(self, split: Split) -> ImageSet:
        own = self.data.load_split(split)
        return ImageSet(fit_images(own.images, self.image_size, self.channels), own.class_names, own.counts)
