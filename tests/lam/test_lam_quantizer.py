"""The bottleneck: which loss moves what, per-token usage, revival of dead codes, and k-means from a seed."""

import pytest
import torch
from torch.nn import functional as F

from wbvla.core.errors import ConfigError
from wbvla.lam.quantizer import Quantizer, QuantizerConfig, code_usage

GRADIENT = QuantizerConfig(num_tokens=2, num_codes=4, dim=3, update="gradient")


def latents(seed: int, count: int = 64) -> torch.Tensor:
    return torch.randn(count, 2, 3, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def test_the_codebook_term_moves_only_the_codebook_and_the_commitment_only_the_encoder():
    torch.manual_seed(0)
    quantizer = Quantizer(GRADIENT)
    z = latents(1)
    out = quantizer(z)
    book = quantizer.vq._codebook.embed
    by_codebook = torch.autograd.grad(out.codebook_loss, [book, z], allow_unused=True, retain_graph=True)
    by_commitment = torch.autograd.grad(out.commitment_loss, [book, z], allow_unused=True)
    assert by_codebook[0].abs().sum() > 0
    assert by_codebook[1] is None
    assert by_commitment[0] is None
    assert by_commitment[1].abs().sum() > 0


def test_both_terms_are_the_same_squared_distance():
    torch.manual_seed(0)
    quantizer = Quantizer(GRADIENT)
    out = quantizer(latents(1))
    torch.testing.assert_close(out.codebook_loss, out.commitment_loss)
    nearest = quantizer.vector_of(out.codes)
    torch.testing.assert_close(
        out.commitment_loss, F.mse_loss(quantizer.normalise(latents(1)), nearest), rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("gradient", ["straight-through", "rotation"])
def test_the_decoder_reaches_the_encoder_through_the_codes(gradient):
    torch.manual_seed(0)
    quantizer = Quantizer(QuantizerConfig(num_tokens=2, num_codes=4, dim=3, gradient=gradient))
    z = latents(2)
    (quantizer(z).tokens * torch.arange(3.0)).sum().backward()
    assert z.grad is not None
    assert z.grad.abs().sum() > 0


def test_each_latent_gets_its_nearest_code():
    torch.manual_seed(0)
    quantizer = Quantizer(GRADIENT)
    quantizer(latents(1))
    quantizer.eval()
    with torch.no_grad():
        z = quantizer.normalise(latents(3))
        codes = quantizer(latents(3)).codes
        distance = torch.cdist(z.flatten(0, 1), quantizer.vq.codebook)
    assert torch.equal(codes.flatten(), distance.argmin(1))


def test_the_warm_up_passes_latents_and_is_counted_in_the_state():
    torch.manual_seed(0)
    quantizer = Quantizer(QuantizerConfig(num_tokens=2, num_codes=4, dim=3, warmup_batches=2))
    for expected in (False, False, True):
        assert quantizer.active is expected
        out = quantizer(latents(1))
        assert bool(out.commitment_loss > 0) is expected
    assert int(quantizer.state_dict()["batches"]) == 3
    assert quantizer.ready


def test_a_fresh_quantiser_does_not_invent_codes_outside_training():
    quantizer = Quantizer(GRADIENT).eval()
    assert not quantizer.active
    assert not quantizer(latents(0)).codes.any()
    assert not quantizer.ready


def test_k_means_and_running_means_are_a_function_of_the_seed():
    books = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        quantizer = Quantizer(QuantizerConfig(num_tokens=2, num_codes=4, dim=3))
        for step in range(5):
            quantizer(latents(step))
        books.append(quantizer.vq.codebook.clone())
    assert torch.equal(books[0], books[1])
    assert not torch.equal(books[0], books[2])


def test_dead_codes_are_revived():
    torch.manual_seed(0)
    quantizer = Quantizer(QuantizerConfig(num_tokens=2, num_codes=16, dim=3))
    batch = latents(0).detach()
    for _ in range(20):
        quantizer(batch)
    quantizer.vq._codebook.embed.data[:, 1:] = 100.0  # every code but one far away
    quantizer.vq._codebook.embed_avg.data[:, 1:] = 100.0 * quantizer.vq._codebook.cluster_size[:, 1:, None]
    dead = code_usage(quantizer.eval()(batch).codes, 16)[0].mean()
    quantizer.train()
    for _ in range(60):
        quantizer(batch)
    alive = code_usage(quantizer.eval()(batch).codes, 16)[0].mean()
    assert dead <= 1 / 16
    assert alive > 0.5


def test_usage_is_counted_per_token_so_that_constant_tokens_do_not_pass_for_variety():
    constant = torch.tensor([[0, 1, 2, 3]] * 50)
    usage, perplexity = code_usage(constant, 4)
    assert usage.tolist() == [0.25] * 4
    assert perplexity.tolist() == pytest.approx([1.0] * 4)
    even = torch.arange(64)[:, None] % 4
    usage, perplexity = code_usage(even, 4)
    assert (usage.item(), perplexity.item()) == (1.0, pytest.approx(4.0))


def test_an_empty_codebook_is_refused():
    with pytest.raises(ConfigError, match="at least 1"):
        QuantizerConfig(num_codes=0)
