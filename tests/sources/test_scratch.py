"""Models from scratch: the same bits each time, and a tokenizer of characters."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradus import sources
from gradus.errors import SourceError
from gradus.records import CheckpointRef
from gradus.sources.characters import SPECIAL, alphabet, build_tokenizer
from gradus.training.models import encode, load_model, load_tokenizer

SMALL = {"scratch": "bert", "layers": 1, "width": 32}


def made(tmp_path: Path, **options: Any) -> CheckpointRef:
    return sources.locate_weights("small", {**SMALL, **options}, tmp_path)


def test_it_is_the_architecture_that_was_asked_for(tmp_path: Path) -> None:
    ref = made(tmp_path, layers=3, width=48, heads=4, inner=96, positions=64)
    config: Any = load_model(ref).config
    assert ref.kind == "transformer"
    assert config.model_type == "bert"
    assert (config.num_hidden_layers, config.hidden_size, config.num_attention_heads) == (3, 48, 4)
    assert (config.intermediate_size, config.max_position_embeddings) == (96, 64)
    assert config.vocab_size == len(load_tokenizer(ref)) == len(SPECIAL) + len(alphabet())


def test_heads_and_inner_width_follow_the_width(tmp_path: Path) -> None:
    config: Any = load_model(made(tmp_path, width=64)).config
    assert (config.num_attention_heads, config.intermediate_size) == (2, 256)


def test_the_same_config_is_the_same_weights_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = made(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    second = made(tmp_path)
    assert first.path != second.path
    assert first.digest == second.digest
    assert made(tmp_path, seed=1).digest != first.digest


def test_another_process_draws_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = made(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    program = (
        "import torch; torch.rand(5)\n"
        "from pathlib import Path\n"
        "from gradus import sources\n"
        f"print(sources.locate_weights('x', {SMALL!r}, Path('.')).digest)"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert told.stdout.strip() == first.digest, told.stderr


def test_it_is_made_once_and_leaves_the_generator_alone(tmp_path: Path) -> None:
    import torch

    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    ref = made(tmp_path)
    assert torch.equal(torch.rand(3), expected)
    weights = Path(ref.path) / "model.safetensors"
    before = weights.stat().st_mtime_ns
    assert made(tmp_path) == ref
    assert weights.stat().st_mtime_ns == before
    assert [p.name for p in Path(ref.path).parent.iterdir()] == [Path(ref.path).name]


def test_the_origin_names_it_again(tmp_path: Path) -> None:
    ref = made(tmp_path, seed=3)
    assert ref.origin["seed"] == 3
    assert sources.locate_weights("again", ref.origin, tmp_path).digest == ref.digest


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"scratch": "brt"}, "'scratch': unknown architecture 'brt': did you mean 'bert'?"),
        (
            {"scratch": "bert", "tokenizer": "character"},
            "'tokenizer': unknown tokenizer 'character': did you mean 'characters'?",
        ),
        ({"scratch": "bert", "layers": 0}, "'layers': input should be greater than or equal to 1"),
        ({"scratch": "bert", "width": 100, "heads": 3}, "width 100 can't be shared by 3 heads"),
        ({"scratch": "bert", "depth": 3}, "unknown field 'depth'"),
    ],
)
def test_what_is_wrong_with_a_plan_is_told_before_anything_is_made(
    spec: dict[str, Any], message: str, own_cache: Path
) -> None:
    (fault,) = sources.check(spec, purpose="weights")
    assert message in fault
    assert not (own_cache / "gradus").exists()


def test_it_gives_no_data() -> None:
    (fault,) = sources.check(SMALL, purpose="data")
    assert fault.startswith("the source 'scratch' gives no data")


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(SourceError, match="name another folder in XDG_CACHE_HOME"):
        made(tmp_path)


def test_the_alphabet_is_the_standards() -> None:
    # GB 2312-80 has 3,755 characters in level 1 and 3,008 in level 2, all of them in this block.
    unified = [one for one in alphabet() if "一" <= one <= "鿿"]
    assert len(unified) == 3755 + 3008
    assert set("房间很好，啊阿齄") - {"，"} <= set(alphabet())
    assert set("abcxyz0189.,!?~。、《》") <= set(alphabet())
    assert not any(one.isspace() or one.isupper() for one in alphabet())


def test_one_token_a_character() -> None:
    tokenizer = build_tokenizer(512)
    tokens = tokenizer.convert_ids_to_tokens(tokenizer("房间 很好,ＯＫ!\n㍿龘")["input_ids"])
    # NFKC writes the one sign of a company out; the dragon is a character of no simplified text.
    assert tokens == ["[CLS]", *"房间很好,ok!株式会社", "[UNK]", "[SEP]"]


def test_a_pair_has_two_sides() -> None:
    coded = build_tokenizer(512)("好", "不好")
    assert coded["token_type_ids"] == [0, 0, 0, 1, 1, 1]


@given(st.text(alphabet=st.sampled_from([*alphabet()]), min_size=1, max_size=30))
def test_what_the_alphabet_has_is_never_unknown(text: str) -> None:
    # Composed by NFKC, characters may give one that the standard lacks: such texts say nothing.
    import unicodedata

    plain = unicodedata.normalize("NFKC", text).lower()
    coded = _TOKENIZER(text)["input_ids"][1:-1]
    assert len(coded) == len(plain)
    if set(plain) <= set(alphabet()):
        assert _TOKENIZER.unk_token_id not in coded
        assert "".join(_TOKENIZER.convert_ids_to_tokens(coded)) == plain


_TOKENIZER = build_tokenizer(512)


def test_its_files_are_those_of_hugging_face(tmp_path: Path) -> None:
    folder = Path(made(tmp_path).path)
    names = {path.name for path in folder.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= names
    assert json.loads((folder / "config.json").read_text())["architectures"] == ["BertModel"]
    ref = made(tmp_path)
    assert encode(load_tokenizer(ref), ["好" * 50], 16).truncated == 1


def test_it_learns_from_chinese_texts_and_can_be_compressed(tmp_path: Path) -> None:
    """Sentences that one character decides: trained from random weights, then int8."""
    pytest.importorskip("onnxruntime")
    import gradus
    from gradus import api

    things = re.findall("..", "房间早餐服务位置环境设施大堂餐厅前台浴室空调电视床铺窗户价格")
    rows = [
        {"text": f"{where}{thing}{how}{word}", "label": label}
        for label, word in (("good", "好"), ("bad", "差"))
        for thing in things
        for how in ("很", "非常", "真")
        for where in ("", "酒店", "这里的")
    ]
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (tmp_path / "hotel.jsonl").write_text("".join(lines), encoding="utf-8")
    data = api.load_data({"source": {"file": str(tmp_path / "hotel.jsonl")}}, seed=1, name="hotel")
    stage = {"train": "all", "embeddings": True, "epochs": 4, "lr": 5e-3, "layer_lr_decay": 1.0}
    tuned = gradus.finetune(SMALL, data, out=tmp_path / "tuned", stages=[stage])
    test = data.splits["test"]
    gold = [data.labels[label] for label in test.labels]
    assert len(gold) >= 20
    assert [p.label for p in tuned.predict(list(test.texts))] == gold
    made = api.step(
        "quantize", out=tmp_path / "small", data=data, model=tmp_path / "tuned/checkpoint"
    )
    assert made.checkpoint is not None
    small = gradus.load(made.checkpoint)
    assert [p.label for p in small.predict(list(test.texts))] == gold
    assert small.predictor.size_bytes < 0.5 * tuned.predictor.size_bytes


@pytest.mark.parametrize("architecture", ["gpt2", "gpt1", "llama"])
def test_causal_architectures_come_with_their_head(tmp_path: Path, architecture: str) -> None:
    from gradus.scoring.load import load_causal_lm

    ref = made(tmp_path, scratch=architecture, layers=2, positions=32)
    model = load_causal_lm(ref)
    assert model.config.model_type == {"gpt1": "openai-gpt"}.get(architecture, architecture)
    assert model.get_output_embeddings().weight.shape == (len(load_tokenizer(ref)), 32)
    assert model.config.num_hidden_layers == 2
    assert ref.digest == made(tmp_path, scratch=architecture, layers=2, positions=32).digest
