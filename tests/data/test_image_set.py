import pytest
import torch

from lightning_nsd.data.image_set import ImageSet
from lightning_nsd.errors import UserError


def images(value: int, count: int) -> torch.Tensor:
    return torch.full((count, 1, 2, 2), value, dtype=torch.uint8)


SET = ImageSet.from_classes({"b": images(1, 4), "a": images(2, 2), "c": images(3, 3)})


def test_classes_keep_their_order_and_their_images() -> None:
    assert SET.class_names == ("b", "a", "c") and SET.counts.tolist() == [4, 2, 3] and len(SET) == 3
    for index, (value, count) in enumerate([(1, 4), (2, 2), (3, 3)]):
        assert torch.equal(SET.of_class(index), images(value, count))


@pytest.mark.parametrize(("start", "stop"), [(0, 2), (1, 3), (2, 2), (0, 3)])
def test_classes_between_two_are_a_view(start: int, stop: int) -> None:
    part = SET.between(start, stop)
    assert part.class_names == SET.class_names[start:stop] and part.counts.tolist() == SET.counts[start:stop].tolist()
    for i in range(len(part)):
        assert torch.equal(part.of_class(i), SET.of_class(start + i))
    assert part.images.untyped_storage().data_ptr() == SET.images.untyped_storage().data_ptr()


def test_small_classes_are_left_out_with_one_warning_that_names_them() -> None:
    with pytest.warns(UserWarning, match=r"1 of 3 classes of the val split .* 3 images .*a \(2\)") as caught:
        kept = SET.with_at_least(3, "val")
    assert len(caught) == 1
    assert kept.class_names == ("b", "c") and torch.equal(kept.images, torch.cat([images(1, 4), images(3, 3)]))


def test_set_whose_classes_are_large_enough_is_returned_as_it_is() -> None:
    assert SET.with_at_least(2, "val") is SET


def test_no_class_large_enough_is_an_error_that_names_them() -> None:
    with pytest.raises(UserError, match=r"test split .*\(n_shot \+ 1\).*b \(4\), a \(2\), c \(3\).*data\.n_shot"):
        SET.with_at_least(5, "test")
