"""What each pair shows: where its two sides agree, and the differences that are found, by name."""

import pytest
import timm
from torch import nn

from parity_tests.examples import bert, gpt2, resnet, vit

RUNGS = ("weights", "module", "forward", "gradient")


@pytest.mark.parametrize("example", [resnet, gpt2], ids=["resnet", "gpt2"])
def test_both_sides_are_the_same_network(example) -> None:  # type: ignore[no-untyped-def]
    example.pairing().check(RUNGS).require()


def test_bert_is_the_same_but_for_the_gradient_of_the_padding_token() -> None:
    report = bert.pairing().check(RUNGS)
    failed = [check.what for check in report.checks if not check.passed]
    assert len(failed) == 2 and all("gradients" in what or "vector-Jacobian" in what for what in failed)
    assert report.first_module == "embeddings.word_embeddings"
    assert "differ at 0 of axis 0 alone, where torch's is zero" in str(report.explanation)


def test_timms_vit_has_another_eps_than_transformers() -> None:
    report = vit.pairing().check(RUNGS)
    assert report.first_module == "blocks.0.norm1" and "eps = 1e-12" in str(report.explanation)


def test_with_the_same_eps_they_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    make = timm.create_model

    def with_eps(*arguments, **settings):  # type: ignore[no-untyped-def]
        network = make(*arguments, **settings)
        for module in network.modules():
            if isinstance(module, nn.LayerNorm):
                module.eps = 1e-12
        return network

    monkeypatch.setattr(timm, "create_model", with_eps)
    vit.pairing().check(RUNGS).require()
