"""The settings of an evaluation: the `fid` section of a configuration, and the options of `evaluate`."""

from dataclasses import dataclass
from typing import Any

from lightning_nsd.diffusion.sampler import Sampler
from lightning_nsd.errors import UserError
from lightning_nsd.extractors import check_name
from lightning_nsd.settings.numbers import (
    Batch,
    BitsSamples,
    BitsTimesteps,
    Classes,
    MixtureSamples,
    Samples,
    bounded,
)


@bounded("fid")
@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """How classes are evaluated.

    This is the only list of these settings. `PerClassFID` and `evaluate` take them as `**settings` and hand them on, in
    the form in which the parser finds them: name, type, default and description all come from here.

    Args:
        classes: names of classes, a number of classes chosen by data.eval_seed, or null for all.
        num_samples: images per class, real and generated alike; the number that a class has where that is smaller.
        min_samples: classes with fewer images are NaN; at least 2.
        batch_size: images that are sampled at once, over the borders of classes.
        extractor: inception, efficientnet_lite0, glyphnet, or the class path of a torch.nn.Module from uint8
            `(n, 3, H, W)` to `(n, d)`. Only Inception's distance is called fid, another's fd_<name>.
        extractor_args: of the extractor's constructor, such as weights_path, or resize (antialias or tf1) of inception.
        sampler: instead of the model's own.
        mixture_samples: also one distance over all training classes together (`mixture_in`), and one over all classes
            of the split (`mixture_out`), with so many images each; 10,000 is the paper's number, 0 computes none.
        inception_scores: also Inception score and sFID, which the extractor inception alone can give.
        bits_samples: also the bits per dimension of so many real images of each class, in whole episodes of n_shot + 1;
            0 computes none.
        bits_timesteps: visit so many timesteps of the diffusion for these, drawn anew for every episode, and say how
            far off that may be; all where None.
        strict: raise instead of counting what failed.
        cache_dir: folder for features of real images; the user's cache folder where None.

    Raises:
        UserError: a number out of bounds, no class at all, an extractor that is neither a known name nor a class path,
            or one that has no Inception score.
    """

    classes: Classes | list[str] | None = None
    num_samples: Samples = 1024
    min_samples: Samples = 2
    batch_size: Batch = 128
    extractor: str = "inception"
    extractor_args: dict[str, Any] | None = None
    sampler: Sampler | None = None
    mixture_samples: MixtureSamples = 0
    inception_scores: bool = False
    bits_samples: BitsSamples = 0
    bits_timesteps: BitsTimesteps | None = None
    strict: bool = False
    cache_dir: str | None = None

    def __post_init__(self) -> None:
        if self.classes == []:
            raise UserError("fid.classes is []; give names of classes, a number of classes, or null for all.")
        if not isinstance(self.extractor, str):
            raise UserError(f"fid.extractor is {self.extractor}; it must be the name of an extractor, or a class path.")
        check_name(self.extractor)
        if self.inception_scores and self.extractor != "inception":
            raise UserError(
                f"fid.inception_scores is true, and fid.extractor is {self.extractor}: only the extractor inception "
                "gives an Inception score and sFID."
            )
