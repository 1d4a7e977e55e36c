"""The model: parity with the release, what padding and absent cameras may change, LoRA that merges."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from wbvla.core.errors import ArtefactError, ConfigError
from wbvla.vla.lora import LoraConfig, add_lora, has_lora, merge_lora
from wbvla.vla.model import Vla, VlaConfig
from wbvla.vla.prismatic import Prismatic, attention_mask, full_7b, tiny
from wbvla.vla.release import convert_native, load_release, prove_sighted, require_names, shapes
from wbvla.vla.tokens import OPENVLA, PromptConfig, Prompts, build_tokenizer


@pytest.fixture
def model(model_config: VlaConfig) -> Vla:
    torch.manual_seed(0)
    model = Vla(model_config).eval()
    torch.nn.init.normal_(model.camera_embed, std=0.1)
    return model


@pytest.fixture(scope="module")
def prompts() -> Prompts:
    return Prompts(PromptConfig(), build_tokenizer(["lift the box"], 400))


def inputs(model: Vla, batch: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    size, cameras = model.config.prismatic.image_size, len(model.config.cameras)
    images = torch.randint(0, 256, (batch, cameras, size, size, 3), generator=generator, dtype=torch.uint8)
    return images, torch.ones(batch, cameras, dtype=torch.bool)


def test_full_size_has_the_names_and_numbers_of_the_release() -> None:
    with torch.device("meta"):
        model = Prismatic(full_7b())
    state = model.state_dict()
    assert len(state) == 982
    assert sum(t.numel() for t in state.values()) == 7_541_237_184
    parts = {"vision_backbone.featurizer": (343, 303_230_976), "vision_backbone.fused_featurizer": (342, 427_680_704)}
    parts |= {"projector": (6, 71_385_600), "language_model": (291, 6_738_939_904)}
    for prefix, (tensors, parameters) in parts.items():
        found = [t for n, t in state.items() if n.startswith(prefix + ".")]
        assert (len(found), sum(t.numel() for t in found)) == (tensors, parameters), prefix
    expected = {
        "vision_backbone.featurizer.reg_token": (1, 4, 1024),
        "vision_backbone.featurizer.pos_embed": (1, 256, 1024),
        "vision_backbone.featurizer.blocks.23.ls2.scale_factor": (1024,),
        "vision_backbone.fused_featurizer.attn_pool.kv.weight": (2304, 1152),
        "vision_backbone.fused_featurizer.blocks.26.mlp.fc1.weight": (4304, 1152),
        "projector.fc1.weight": (8704, 2176),
        "language_model.model.layers.31.mlp.down_proj.weight": (4096, 11008),
        "language_model.lm_head.weight": (32064, 4096),
    }
    assert {n: tuple(state[n].shape) for n in expected} == expected


def test_padding_changes_nothing(model: Vla, prompts: Prompts) -> None:
    images, present = inputs(model)
    words = ["lift the box", "go", "walk to the left side of the room and lift the small red box"]
    together = model.encode(images, present, *prompts.batch(words))
    logits = model.code_logits(together)
    for i, word in enumerate(words):
        alone = model.encode(images[i : i + 1], present[i : i + 1], *prompts.batch([word]))
        torch.testing.assert_close(alone.latents[0], together.latents[i], atol=1e-5, rtol=1e-4)
        for name, rows in model.code_logits(alone).items():
            torch.testing.assert_close(rows[0], logits[name][i], atol=1e-5, rtol=1e-4)


def test_pad_token_is_never_read(model: Vla, prompts: Prompts) -> None:
    images, present = inputs(model, 2)
    text, mask = prompts.batch(["go", "lift the small red box"])
    first = model.encode(images, present, text, mask).latents
    changed = torch.where(mask, text, torch.full_like(text, 7))
    assert torch.equal(first, model.encode(images, present, changed, mask).latents)


def test_dropped_camera_changes_only_its_own_tokens(model: Vla, prompts: Prompts) -> None:
    images, present = inputs(model, 2)
    text = prompts.batch(["lift the box"] * 2)
    absent = present.clone()
    absent[0, 1] = False
    patches = model.config.prismatic.num_patches
    full = model.prismatic.visual_tokens(model.normalise(images), present)
    less = model.prismatic.visual_tokens(model.normalise(images), absent)
    torch.testing.assert_close(full[absent], less[absent], atol=1e-6, rtol=1e-5)
    assert not less[0, 1].any()
    assert less.shape[2] == patches
    other = images.clone()
    other[0, 1] = 255 - other[0, 1]
    seen, unseen = (model.encode(i, absent, *text).latents for i in (images, other))
    assert torch.equal(seen, unseen)
    assert not torch.equal(model.encode(images, present, *text).latents, model.encode(other, present, *text).latents)
    alone = model.encode(images[:1], absent[:1], *prompts.batch(["lift the box"])).latents
    torch.testing.assert_close(alone[0], seen[0], atol=1e-5, rtol=1e-4)


def test_required_camera_and_size_are_checked(model: Vla, prompts: Prompts) -> None:
    images, present = inputs(model, 1)
    with pytest.raises(ConfigError, match="'head' must be present"):
        model.encode(images, present & False, *prompts.batch(["go"]))
    with pytest.raises(ConfigError, match="do not fit cameras"):
        model.encode(images[:, :, :16, :16], present, *prompts.batch(["go"]))


def test_queries_see_each_other_only_when_parallel(model_config: VlaConfig, prompts: Prompts) -> None:
    def moved(parallel: bool) -> torch.Tensor:
        torch.manual_seed(0)
        model = Vla(replace(model_config, parallel_queries=parallel)).eval()
        images, present = inputs(model, 1)
        before = model.encode(images, present, *prompts.batch(["go"])).latents
        with torch.no_grad():
            model.queries[-1] += 1.0
        after = model.encode(images, present, *prompts.batch(["go"])).latents
        return (before != after).any(dim=-1)[0]

    assert moved(True).all()
    assert moved(False).tolist() == [False, False, False, True]
    mask = attention_mask(torch.tensor([[True, False, True]]), 0)[0, 0]
    assert mask.tolist() == [[True, False, False], [True, True, False], [True, False, True]]


def test_chunk_is_bounded_and_shaped(model: Vla, prompts: Prompts) -> None:
    images, present = inputs(model, 2)
    with torch.inference_mode():
        chunk = model.chunk(model.encode(images, present, *prompts.batch(["go", "lift"])), 100 * torch.randn(2, 70))
    assert chunk.arms.shape == (2, 2, 14)
    assert chunk.flags.shape == (2, 2, 3, 3)
    assert float(chunk.height_m.min()) >= 0.48 - 1e-6
    assert float(chunk.height_m.max()) <= 0.66 + 1e-6
    assert 0 <= float(chunk.grippers.min()) <= float(chunk.grippers.max()) <= 1


def test_lora_merges_and_leaves_the_base_alone(model: Vla, prompts: Prompts) -> None:
    before = {k: v.clone() for k, v in model.state_dict().items()}
    add_lora(model, LoraConfig(rank=3, alpha=6.0, dropout=0.1), ("action_decoder", "queries"))
    trainable = {n for n, p in model.named_parameters() if p.requires_grad}
    assert all("lora_" in n or n.startswith(("action_decoder", "queries")) for n in trainable)
    assert sum("lora_A" in n for n in trainable) == 7 * model.config.prismatic.language.depth
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.01)
    images, present = inputs(model, 2)
    text = prompts.batch(["go", "lift the box"])
    for _ in range(3):
        encoding = model.train().encode(images, present, *text)
        chunk = model.chunk(encoding, torch.ones(2, 70))
        (chunk.arms.square().mean() + sum(v.square().mean() for v in model.code_logits(encoding).values())).backward()
        optimizer.step()
        optimizer.zero_grad()
    names = {n.replace(".base_layer", ""): t for n, t in model.state_dict().items() if "lora_" not in n}
    untouched = [n for n in before if n.startswith(("prismatic.", "camera_embed", "code_heads"))]
    assert untouched
    assert all(torch.equal(names[n], before[n]) for n in untouched)
    unmerged = model.eval().encode(images, present, *text).latents
    merge_lora(model)
    assert not has_lora(model)
    assert set(model.state_dict()) == set(before)
    merged = model.encode(images, present, *text).latents
    torch.testing.assert_close(merged, unmerged, atol=1e-5, rtol=1e-4)
    q_proj = "prismatic.language_model.model.layers.0.self_attn.q_proj.weight"
    assert not torch.equal(model.state_dict()[q_proj], before[q_proj])


def test_lora_refuses_an_unknown_part(model: Vla) -> None:
    with pytest.raises(ConfigError, match="no parameter starts with 'decoder'"):
        add_lora(model, LoraConfig(rank=2), ("decoder",))
    with pytest.raises(ConfigError, match="learns by adapters alone"):
        add_lora(model, LoraConfig(rank=2), ("prismatic.language_model.model.embed_tokens",))


def test_prompts_pad_truncate_nothing_and_read_any_text(prompts: Prompts) -> None:
    text, mask = prompts.batch(["Lift  the BOX", "go"])
    assert text[0].tolist() == prompts.ids("lift the box")
    assert mask.sum(dim=1).tolist() == [len(prompts.ids("lift the box")), len(prompts.ids("go"))]
    assert (text[:, 0] == 1).all()
    assert prompts.tokenizer.decode(prompts.ids("hebe die Kiste ü 箱")[1:]).strip() == "hebe die kiste ü 箱"
    assert build_tokenizer(["b a"], 400).to_str() == build_tokenizer(["a b"], 400).to_str()
    with pytest.raises(ConfigError, match="empty"):
        prompts.ids("  ")
    with pytest.raises(ConfigError, match="at most 48"):
        prompts.ids("go " * 60)


def test_openvla_prompt_ends_with_the_empty_piece_once() -> None:
    tokenizer = build_tokenizer([], 400)
    last = tokenizer.encode("Out:", add_special_tokens=False).ids[-1]
    for suffix, expected in (((29871,), 29871), ((last,), last)):
        ids = Prompts(replace(OPENVLA, suffix_tokens=suffix), tokenizer).ids("lift the box")
        assert ids[-1] == expected
        assert ids.count(expected) == 1 or expected == last
    assert Prompts(replace(OPENVLA, suffix_tokens=(last,)), tokenizer).ids("go")[-2] != last


def test_release_loads_by_name_and_is_proven_sighted(tmp_path: Path, model_config: VlaConfig) -> None:
    torch.manual_seed(3)
    source = Prismatic(model_config.prismatic).eval()
    names = sorted(source.state_dict())
    half = len(names) // 2
    state = source.state_dict()
    save_file({n: state[n].contiguous() for n in names[:half]}, tmp_path / "model-1.safetensors")
    save_file({n: state[n].contiguous() for n in names[half:]}, tmp_path / "model-2.safetensors")
    weight_map = {n: f"model-{1 if i < half else 2}.safetensors" for i, n in enumerate(names)}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    target = Prismatic(model_config.prismatic).eval()
    load_release(target, tmp_path)
    assert all(torch.equal(t, state[n]) for n, t in target.state_dict().items())
    (tmp_path / "model-2.safetensors").unlink()
    with pytest.raises(ArtefactError, match=r"lacks 'model-2\.safetensors'"):
        load_release(target, tmp_path)


def test_release_faults_are_named(model_config: VlaConfig) -> None:
    own = shapes(Prismatic(model_config.prismatic).state_dict())
    found = {**own, "projector.fc9.weight": (1,), "projector.fc1.bias": (2,)}
    found.pop("projector.fc2.bias")
    with pytest.raises(ArtefactError, match=r"missing projector.fc2.bias .*unexpected projector.fc9.weight .*wrong sh"):
        require_names(own, found, "folder")


def test_a_blind_model_is_refused(model_config: VlaConfig) -> None:
    model = Prismatic(model_config.prismatic).eval()
    prove_sighted(model)
    with torch.no_grad():
        for parameter in model.projector.parameters():
            parameter.zero_()
    with pytest.raises(ArtefactError, match="the picture does not change"):
        prove_sighted(model)


def test_native_names_become_released_names() -> None:
    one = torch.ones(1)
    native = {
        "projector": {"projector.0.weight": one, "projector.4.bias": one},
        "llm_backbone": {"llm.model.norm.weight": one, "llm.lm_head.weight": one},
        "vision_backbone": {"dino_featurizer.blocks.3.ls1.gamma": one, "siglip_featurizer.attn_pool.q.bias": one},
    }
    with torch.device("meta"):
        known = set(Prismatic(full_7b()).state_dict())
    converted = set(convert_native(native))
    assert converted <= known
    assert "vision_backbone.featurizer.blocks.3.ls1.scale_factor" in converted


def test_tiny_is_tiny() -> None:
    count = sum(p.numel() for p in Prismatic(tiny()).parameters())
    assert 5e5 < count < 2e6
