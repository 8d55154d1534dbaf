"""Which classes are for training, validation and test."""

import torch

from lightning_nsd.data.datamodule import Split
from lightning_nsd.errors import UserError
from lightning_nsd.rng import Stream, generator

# CIFAR-100's coarse labels and the fine labels that belong to each (Krizhevsky 2009)
CIFAR100_SUPERCLASSES: dict[str, tuple[str, ...]] = {
    "aquatic_mammals": ("beaver", "dolphin", "otter", "seal", "whale"),
    "fish": ("aquarium_fish", "flatfish", "ray", "shark", "trout"),
    "flowers": ("orchid", "poppy", "rose", "sunflower", "tulip"),
    "food_containers": ("bottle", "bowl", "can", "cup", "plate"),
    "fruit_and_vegetables": ("apple", "mushroom", "orange", "pear", "sweet_pepper"),
    "household_electrical_devices": ("clock", "keyboard", "lamp", "telephone", "television"),
    "household_furniture": ("bed", "chair", "couch", "table", "wardrobe"),
    "insects": ("bee", "beetle", "butterfly", "caterpillar", "cockroach"),
    "large_carnivores": ("bear", "leopard", "lion", "tiger", "wolf"),
    "large_man-made_outdoor_things": ("bridge", "castle", "house", "road", "skyscraper"),
    "large_natural_outdoor_scenes": ("cloud", "forest", "mountain", "plain", "sea"),
    "large_omnivores_and_herbivores": ("camel", "cattle", "chimpanzee", "elephant", "kangaroo"),
    "medium_mammals": ("fox", "porcupine", "possum", "raccoon", "skunk"),
    "non-insect_invertebrates": ("crab", "lobster", "snail", "spider", "worm"),
    "people": ("baby", "boy", "girl", "man", "woman"),
    "reptiles": ("crocodile", "dinosaur", "lizard", "snake", "turtle"),
    "small_mammals": ("hamster", "mouse", "rabbit", "shrew", "squirrel"),
    "trees": ("maple_tree", "oak_tree", "palm_tree", "pine_tree", "willow_tree"),
    "vehicles_1": ("bicycle", "bus", "motorcycle", "pickup_truck", "train"),
    "vehicles_2": ("lawn_mower", "rocket", "streetcar", "tank", "tractor"),
}

# FC100 divides by superclass, so that no class of the test resembles one of the training (Oreshkin et al. 2018)
FC100_VAL = ("large_carnivores", "large_omnivores_and_herbivores", "non-insect_invertebrates", "small_mammals")
FC100_TEST = ("aquatic_mammals", "insects", "medium_mammals", "people")


def fc100_split() -> dict[Split, tuple[str, ...]]:
    """The 60, 20 and 20 class names of CIFAR-100 in FC100's split, each sorted."""
    splits: dict[Split, list[str]] = {"train": [], "val": [], "test": []}
    for superclass, classes in CIFAR100_SUPERCLASSES.items():
        split: Split = "val" if superclass in FC100_VAL else "test" if superclass in FC100_TEST else "train"
        splits[split].extend(classes)
    return {split: tuple(sorted(classes)) for split, classes in splits.items()}


def mixed_split(seed: int) -> dict[Split, list[str]]:
    """60, 20 and 20 class names of CIFAR-100 at random, whatever their superclasses, each sorted."""
    names = [name for classes in CIFAR100_SUPERCLASSES.values() for name in classes]
    return split_names(names, val_fraction=0.2, test_fraction=0.2, seed=seed)


def split_names(names: list[str], val_fraction: float, test_fraction: float, seed: int) -> dict[Split, list[str]]:
    """Divide names at random; the same names and seed always give the same division.

    Each fraction above zero gets at least one name, and training what is left.

    Raises:
        UserError: a fraction outside 0…1, or nothing left to train on.
    """
    for key, fraction in (("val_fraction", val_fraction), ("test_fraction", test_fraction)):
        if not 0 <= fraction < 1:
            raise UserError(f"data.{key} is {fraction}; it must be at least 0 and less than 1.")
    num_val, num_test = (
        max(1, round(fraction * len(names))) if fraction else 0 for fraction in (val_fraction, test_fraction)
    )
    if num_val + num_test >= len(names):
        raise UserError(
            f"The train split holds no class: of {len(names)} in all, data.val_fraction={val_fraction} takes {num_val} "
            f"and data.test_fraction={test_fraction} takes {num_test}. Lower them or add classes."
        )
    ordered = sorted(names)
    shuffled = [ordered[i] for i in torch.randperm(len(ordered), generator=generator(seed, Stream.SPLIT)).tolist()]
    return {
        "train": sorted(shuffled[num_val + num_test :]),
        "val": sorted(shuffled[:num_val]),
        "test": sorted(shuffled[num_val : num_val + num_test]),
    }
