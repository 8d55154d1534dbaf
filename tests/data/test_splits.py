from itertools import chain

import pytest

from lightning_nsd.data.splits import (
    CIFAR100_SUPERCLASSES,
    FC100_TEST,
    FC100_VAL,
    fc100_split,
    mixed_split,
    split_names,
)
from lightning_nsd.errors import UserError

NAMES = [f"class{i}" for i in range(20)]


def test_cifar100_has_twenty_superclasses_of_five_different_classes() -> None:
    assert len(CIFAR100_SUPERCLASSES) == 20
    assert {len(classes) for classes in CIFAR100_SUPERCLASSES.values()} == {5}
    assert len(set(chain(*CIFAR100_SUPERCLASSES.values()))) == 100


def test_fc100_divides_all_hundred_classes_into_60_20_20() -> None:
    split = fc100_split()
    assert {name: len(classes) for name, classes in split.items()} == {"train": 60, "val": 20, "test": 20}
    assert sorted(chain(*split.values())) == sorted(chain(*CIFAR100_SUPERCLASSES.values()))


def test_fc100_keeps_superclasses_together() -> None:
    split = fc100_split()
    for superclass, classes in CIFAR100_SUPERCLASSES.items():
        (where,) = [name for name, members in split.items() if set(classes) & set(members)]
        assert where == ("val" if superclass in FC100_VAL else "test" if superclass in FC100_TEST else "train")
    assert {"whale", "bee", "skunk", "baby"} <= set(split["test"])
    assert {"wolf", "camel", "worm", "mouse"} <= set(split["val"])


def test_mixed_classes_of_cifar100_are_60_20_and_20_whatever_their_superclasses() -> None:
    split = mixed_split(seed=0)
    assert {name: len(classes) for name, classes in split.items()} == {"train": 60, "val": 20, "test": 20}
    assert sorted(chain(*split.values())) == sorted(chain(*CIFAR100_SUPERCLASSES.values()))
    apart = [
        name for name, members in CIFAR100_SUPERCLASSES.items() if set(members) & set(split["train"]) < set(members)
    ]
    assert len(apart) > 10


def test_the_mixed_division_of_a_seed_is_the_same_on_every_machine() -> None:
    assert mixed_split(seed=0) == mixed_split(seed=0) != mixed_split(seed=1)
    assert mixed_split(seed=0)["test"][:3] == ["aquarium_fish", "bowl", "can"], (
        "old runs would now be tested on their training classes"
    )


def test_random_split_is_disjoint_complete_and_of_the_asked_sizes() -> None:
    split = split_names(NAMES, 0.15, 0.25, seed=0)
    assert [len(split[name]) for name in ("train", "val", "test")] == [12, 3, 5]
    assert sorted(chain(*split.values())) == sorted(NAMES)


def test_random_split_depends_on_names_and_seed_alone() -> None:
    split = split_names(NAMES, 0.15, 0.15, seed=3)
    assert split_names(NAMES[::-1], 0.15, 0.15, seed=3) == split
    assert split_names(NAMES, 0.15, 0.15, seed=4) != split
    assert split["test"] == ["class12", "class16", "class2"], "old runs would now be tested on their training classes"


def test_small_fraction_still_gets_a_class_and_zero_gets_none() -> None:
    split = split_names(NAMES[:4], 0.01, 0, seed=0)
    assert [len(split[name]) for name in ("train", "val", "test")] == [3, 1, 0]


@pytest.mark.parametrize(("count", "val", "test"), [(2, 0.15, 0.15), (20, 0.5, 0.5), (1, 0.1, 0), (0, 0, 0)])
def test_split_that_leaves_nothing_to_train_on_is_refused(count: int, val: float, test: float) -> None:
    with pytest.raises(UserError, match="train split holds no class"):
        split_names(NAMES[:count], val, test, seed=0)


@pytest.mark.parametrize("fraction", [-0.1, 1.0, float("nan")])
def test_fraction_out_of_range_is_refused_by_name(fraction: float) -> None:
    with pytest.raises(UserError, match=r"data\.test_fraction"):
        split_names(NAMES, 0.1, fraction, seed=0)
