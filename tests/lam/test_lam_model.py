"""Both sizes of the model: start as a copy, learn motion into codes, keep DINOv2 as it is, survive the disk."""

import pytest
import torch
from lam_clips import SIDE, SlidingPairs
from torch.nn import functional as F
from transformers import Dinov2Config, Dinov2Model, Dinov2WithRegistersConfig, Dinov2WithRegistersModel

from wbvla.core.errors import ArtefactError, ConfigError
from wbvla.lam.artefact import lam_contract, open_lam, save_lam
from wbvla.lam.features import DinoConfig, FrozenDino
from wbvla.lam.model import LamConfig, LatentActionModel, lam_loss
from wbvla.lam.quantizer import QuantizerConfig
from wbvla.lam.transformer import PatchConfig, PatchEncoder
from wbvla.lam.warp import WarpConfig
from wbvla.train.loop import LoopConfig, fit
from wbvla.train.optim import OptimConfig


def small(**changes) -> LamConfig:
    quantizer = QuantizerConfig(num_tokens=2, num_codes=8, dim=4)
    net = WarpConfig(channels=(16, 24, 32), hidden=64)
    return LamConfig(
        **{"stream": "locomotion", "height": SIDE, "width": SIDE, "net": net, "quantizer": quantizer, **changes}
    )


@pytest.fixture(scope="session")
def dino(tmp_path_factory):
    """A DINOv2 with registers, random and tiny, as a local folder."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("dino")
    sizes = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 28, "patch_size": 7}
    Dinov2WithRegistersModel(Dinov2WithRegistersConfig(**sizes, num_register_tokens=2)).save_pretrained(folder)
    return folder


def patch_config(dino) -> LamConfig:
    net = PatchConfig(dino=DinoConfig(name=str(dino)), width=32, heads=4, encoder_blocks=2, decoder_blocks=2)
    quantizer = QuantizerConfig(num_tokens=2, num_codes=4, dim=8, update="gradient")
    return LamConfig(stream="manipulation", height=28, width=28, net=net, quantizer=quantizer)


def frames(count: int, height: int, width: int, seed: int = 0) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, height, width, 3), generator=rng, dtype=torch.uint8)


def test_a_fresh_model_predicts_a_copy_of_the_first_frame(dino):
    torch.manual_seed(0)
    warp = LatentActionModel(small())
    out = warp(frames(4, SIDE, SIDE), frames(4, SIDE, SIDE, 1))
    moved = (out.prediction - out.now).abs()
    assert moved.max() < 0.05, "a mask that starts at 5 % may paint a little"
    patch = LatentActionModel(patch_config(dino))
    out = patch(frames(8, 28, 28), frames(8, 28, 28, 1))
    assert torch.equal(out.prediction, out.now)
    assert out.now.shape == (8, 16, 24)


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A tiny model trained for about seven seconds of one core on five motions over random pictures."""
    torch.manual_seed(0)
    quantizer = QuantizerConfig(num_tokens=2, num_codes=8, dim=4, warmup_batches=40)
    model = LatentActionModel(small(quantizer=quantizer), expected_batch=32)
    optim = OptimConfig(learning_rate=4e-3, warmup_steps=10)
    config = LoopConfig(steps=160, batch_size=32, optim=optim)
    fit(model, lam_loss, SlidingPairs(32), config, tmp_path_factory.mktemp("lam"))
    return model


def test_a_trained_model_needs_its_codes_and_they_mean_the_motion(trained):
    pair, move = SlidingPairs(200).draw(10**9)
    with torch.no_grad():
        out = trained(pair["now"], pair["later"])
        codes = trained.encode(pair["now"], pair["later"])
        dealt = trained.predict(out.now, codes.roll(1, 0))
    mse = F.mse_loss(out.prediction, out.later)
    assert 1 - mse / F.mse_loss(out.now, out.later) > 0.4, "gain over copying"
    assert 1 - mse / F.mse_loss(dealt, out.later) > 0.4, "gain over codes of other pairs"
    whole = codes[:, 0] * 8 + codes[:, 1]
    hits = sum(int(torch.bincount(move[whole == code]).max()) for code in whole.unique())
    assert hits / len(move) > 0.7, "a code tells which of five motions it was (chance 0.2)"


def test_a_code_carries_over_to_another_scene(trained):
    """The code of a motion, applied to a picture it was not taken from, still moves that picture the same way."""
    pair, move = SlidingPairs(400).draw(7)
    codes = trained.encode(pair["now"], pair["later"])
    with torch.no_grad():
        now = trained.view(pair["now"])
        later = trained.view(pair["later"])
        other = torch.cat([codes[move == m].roll(1, 0) for m in range(5)])
        order = torch.cat([torch.nonzero(move == m)[:, 0] for m in range(5)])
        moved = trained.predict(now[order], other)
    assert F.mse_loss(moved, later[order]) < 0.75 * F.mse_loss(now, later)


def test_frozen_features_never_change_and_get_no_gradient(dino, tmp_path):
    torch.manual_seed(0)
    model = LatentActionModel(patch_config(dino))
    before = {k: v.clone() for k, v in model.view.state_dict().items()}

    class Source:
        def batch(self, step, rng):
            return {"now": frames(8, 28, 28, 2 * step), "later": frames(8, 28, 28, 2 * step + 1)}

    config = LoopConfig(steps=3, batch_size=8, optim=OptimConfig(learning_rate=1e-2))
    first = {k: v.clone() for k, v in model.encoder.state_dict().items()}
    fit(model, lam_loss, Source(), config, tmp_path)
    assert all(torch.equal(v, before[k]) for k, v in model.view.state_dict().items())
    assert not any(p.requires_grad or p.grad is not None for p in model.view.parameters())
    assert not model.view.backbone.training
    assert any(not torch.equal(v, first[k]) for k, v in model.encoder.state_dict().items())


def test_patch_tokens_leave_out_the_class_token_and_registers(dino, tmp_path):
    view = FrozenDino(str(dino))
    assert view(frames(2, 28, 28)).shape == (2, 16, 24)
    sizes = {"hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 28, "patch_size": 7}
    Dinov2Model(Dinov2Config(**sizes)).save_pretrained(tmp_path)
    assert FrozenDino(str(tmp_path))(frames(2, 28, 28)).shape == (2, 16, 24)


def test_the_encoder_never_looks_from_the_first_frame_into_the_second():
    """Causal in time: were the queries of the first frame read, they could not depend on the second."""
    torch.manual_seed(0)
    config = PatchConfig(width=32, heads=4, encoder_blocks=2, decoder_blocks=1)
    encoder = PatchEncoder(config, 6, 24, 2, 8)
    now, later, other = (torch.randn(3, 6, 24) for _ in range(3))
    x = [torch.cat([torch.stack([now, o], 1) for o in (later, other)])]
    patches = encoder.project(x[0]) + encoder.place
    tokens = torch.cat([encoder.queries.expand(6, 2, -1, -1), patches], 2)
    for block in encoder.blocks:
        tokens = block(tokens)
    first, second = tokens.chunk(2)
    torch.testing.assert_close(first[:, 0], second[:, 0])
    assert not torch.allclose(first[:, 1], second[:, 1])


def test_missing_dino_weights_say_how_to_get_them(tmp_path):
    with pytest.raises(ArtefactError, match="hf download"):
        FrozenDino(str(tmp_path / "nothing"))


@pytest.mark.parametrize("kind", ["warp", "patch"])
def test_an_artefact_gives_the_same_codes_back(kind, dino, tmp_path):
    torch.manual_seed(0)
    config = small() if kind == "warp" else patch_config(dino)
    model = LatentActionModel(config)
    pair = frames(16, *config.size), frames(16, *config.size, 1)
    model(*pair)
    model.eval()
    save_lam(tmp_path / "lam", model, lam_contract(model, 10, {"quality": {"faults": []}}), "# card\n")
    back, artefact = open_lam(tmp_path / "lam")
    assert back.config == config
    assert torch.equal(back.encode(*pair), model.encode(*pair))
    details = artefact.contract.details
    assert (details["num_tokens"], details["num_codes"]) == (2, config.quantizer.num_codes)


def test_another_dino_than_the_trained_one_is_refused(dino, tmp_path):
    torch.manual_seed(0)
    name = tmp_path / "dino"
    view = FrozenDino(str(dino)).backbone
    view.save_pretrained(name)
    model = LatentActionModel(patch_config(name))
    save_lam(tmp_path / "lam", model, lam_contract(model, 10, {}), "# card\n")
    with torch.no_grad():
        view.layernorm.weight[0] += 1
    view.save_pretrained(name)
    with pytest.raises(ArtefactError, match="not those"):
        open_lam(tmp_path / "lam")


def test_codes_are_refused_before_they_exist_and_in_training_mode(trained):
    pair = frames(2, SIDE, SIDE), frames(2, SIDE, SIDE)
    with pytest.raises(ConfigError, match="no codes yet"):
        LatentActionModel(small()).eval().encode(*pair)
    with pytest.raises(ConfigError, match="no codes yet"):
        LatentActionModel(small()).encode(*pair)


@pytest.mark.parametrize(
    ("change", "said"),
    [({"height": 30}, "divide by 8"), ({"gap_s": 0.0}, "gap above 0"), ({"cameras": ()}, "needs a camera")],
)
def test_impossible_models_are_refused(change, said):
    with pytest.raises(ConfigError, match=said):
        small(**change)


def test_a_gap_is_counted_in_frames_of_the_recording():
    assert small(gap_s=0.6).gap_frames(10) == 6
    assert small(gap_s=0.6).gap_frames(30) == 18
    with pytest.raises(ConfigError, match="less than a frame"):
        small(gap_s=0.01).gap_frames(10)
