"""`Tokenizer`: directories of every layout, chat templates, and exact bytes."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as Backend

from dfastllm import tokenizer as tokenizer_module
from dfastllm.errors import CheckpointError, InvalidRequest
from dfastllm.tokenizer import Tokenizer
from dfastllm.tokenizer_files import TokenizerFiles
from support import vocabularies

MESSAGES = [{"role": "system", "content": "Be short."}, {"role": "user", "content": "the é?"}]


def load(directory: Path) -> Tokenizer:
    return Tokenizer.load(directory, vocab_size=512, mask_id=270)


def in_memory(backend: Backend) -> Tokenizer:
    return Tokenizer(TokenizerFiles(backend, None, {}, None), vocab_size=512, mask_id=270)


BYTES = in_memory(vocabularies.byte_level())
PIECES = in_memory(vocabularies.pieces())


def test_text_survives_a_round_trip(tmp_path: Path) -> None:
    tokenizer = load(vocabularies.write(tmp_path, vocabularies.byte_level()))
    for text in ("the abc", "naïve 🙂 e\n\n", " the", ""):
        assert tokenizer.decode(tokenizer.encode(text)) == text
    assert (tokenizer.vocab_size, tokenizer.mask_id) == (512, 270)


def test_special_tokens_in_a_text_become_their_ids_and_are_skipped_on_request() -> None:
    ids = BYTES.encode("a<|end|>b")
    assert len(ids) == 3
    assert ids[1] in BYTES.special_ids
    assert BYTES.decode(ids) == "ab"
    assert BYTES.decode(ids, skip_special_tokens=False) == "a<|end|>b"


def test_bos_is_put_in_front_once_and_no_eos_behind() -> None:
    tokenizer = in_memory(vocabularies.byte_level(bos=True))
    start = tokenizer.encode("<|start|>", add_special_tokens=False)
    assert tokenizer.encode("a") == start + BYTES.encode("a")
    assert tokenizer.encode("<|start|>a") == tokenizer.encode("a")
    assert tokenizer.encode("a", add_special_tokens=False) == BYTES.encode("a")
    assert tokenizer.encode("") == start


@pytest.mark.parametrize(("wanted", "n_added"), [(True, 1), (False, 0)])
def test_the_configuration_overrules_the_post_processor_about_bos(
    tmp_path: Path, wanted: bool, n_added: int
) -> None:
    backend = vocabularies.byte_level(bos=not wanted)
    tokenizer = load(
        vocabularies.write(tmp_path, backend, add_bos_token=wanted, bos_token="<|start|>")
    )
    assert len(tokenizer.encode("a")) == 1 + n_added


@pytest.mark.parametrize("layout", ["string", "named", "file"])
def test_a_chat_template_is_rendered_and_its_special_tokens_are_parsed(
    tmp_path: Path, layout: str
) -> None:
    template: Any = vocabularies.CHATML
    if layout == "named":
        template = [
            {"name": "tool_use", "template": "{{ 1 / 0 }}"},
            {"name": "default", "template": template},
        ]
    config = {} if layout == "file" else {"chat_template": template}
    backend = vocabularies.byte_level(bos=True)
    vocabularies.write(tmp_path, backend, bos_token={"content": "<|start|>"}, **config)
    if layout == "file":
        (tmp_path / "chat_template.jinja").write_text(template)
    tokenizer = load(tmp_path)
    assert tokenizer.has_chat_template
    ids = tokenizer.encode_chat(MESSAGES)
    text = (
        "<|start|><|turn|>system\nBe short.<|end|>\n<|turn|>user\nthe é?<|end|>\n"
        "<|turn|>assistant\n"
    )
    assert tokenizer.decode(ids, skip_special_tokens=False) == text
    assert sum(i in tokenizer.special_ids for i in ids) == 6  # BOS once


def test_templates_render_as_transformers_renders_them(tmp_path: Path) -> None:
    source = (
        "{{- bos_token }}\n{% for m in messages %}\n  {% if loop.index0 == 1 %}{% continue %}"
        "{% endif %}\n{% generation %}{{ m | tojson }}{% endgeneration %}\n"
        "    {%- set ns = namespace(n=loop.index) %} {{ ns.n }}\n{% endfor %}"
        "{% if not tools %}none{% endif %}{% if add_generation_prompt %}<|turn|>{% endif %}"
    )
    vocabularies.write(tmp_path, vocabularies.byte_level(), bos_token="<|start|>")
    (tmp_path / "chat_template.jinja").write_text(source)
    from transformers import PreTrainedTokenizerFast

    reference = PreTrainedTokenizerFast.from_pretrained(str(tmp_path))
    expected = reference.apply_chat_template(
        [*MESSAGES, {"role": "user", "content": "<é>"}],
        add_generation_prompt=True,
        tokenize=False,
    )
    tokenizer = load(tmp_path)
    ids = tokenizer.encode_chat([*MESSAGES, {"role": "user", "content": "<é>"}])
    assert tokenizer.decode(ids, skip_special_tokens=False) == expected


@pytest.mark.parametrize(
    "source",
    [
        "{{ raise_exception('roles must alternate') }}",
        "{{ messages[7]['content'] + 1 }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.append(1) }}",
        "{{ 1 / 0 }}",
    ],
)
def test_a_template_that_fails_is_the_messages_fault(tmp_path: Path, source: str) -> None:
    tokenizer = load(vocabularies.write(tmp_path, vocabularies.byte_level(), chat_template=source))
    with pytest.raises(InvalidRequest, match="refuses these messages") as caught:
        tokenizer.encode_chat(MESSAGES)
    assert caught.value.param == "messages"


def test_without_a_template_a_conversation_is_refused() -> None:
    assert not BYTES.has_chat_template
    with pytest.raises(InvalidRequest, match="no chat template"):
        BYTES.encode_chat(MESSAGES)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{% for %}", "does not compile"),
        ([{"name": "a", "template": "x"}, {"name": "b", "template": "y"}], "a, b, none is default"),
    ],
)
def test_a_broken_template_is_found_at_load(tmp_path: Path, template: object, message: str) -> None:
    vocabularies.write(tmp_path, vocabularies.byte_level(), chat_template=template)
    with pytest.raises(CheckpointError, match=message):
        load(tmp_path)


def test_text_that_is_not_unicode_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="not valid Unicode"):
        BYTES.encode("a\ud800b")


def write_dream_layout(directory: Path, first_added: int = 267) -> Path:
    """Vocabulary and merges without `tokenizer.json`, special tokens in the configuration."""
    vocab, merges = vocabularies.byte_level_parts()
    (directory / "vocab.json").write_text(json.dumps(vocab))
    lines = "\n".join(f"{left} {right}" for left, right in merges)
    (directory / "merges.txt").write_text(f"#version: 0.2\n{lines}\n")
    added = {
        str(first_added + i): {"content": content, "special": True, "normalized": False}
        for i, content in enumerate(vocabularies.SPECIALS)
    }
    config = {
        "tokenizer_class": "DreamTokenizer",
        "auto_map": {"AutoTokenizer": ["tokenization_dream.DreamTokenizer", None]},
        "added_tokens_decoder": added,
        "chat_template": vocabularies.CHATML,
        "bos_token": None,
    }
    (directory / "tokenizer_config.json").write_text(json.dumps(config))
    return directory


def test_the_dream_layout_is_built_like_the_qwen2_tokenizer(tmp_path: Path) -> None:
    tokenizer = load(write_dream_layout(tmp_path))
    from transformers import Qwen2Tokenizer

    vocab, merges = vocabularies.byte_level_parts()
    options: dict[str, Any] = {"merges": merges, "unk_token": None, "eos_token": "<|start|>"}
    reference = Qwen2Tokenizer(vocab=vocab, **options)
    for text in ("the abc 123\n\n  x", "e\u0301 isn't 🙂\t the\r\n", "naïve  the"):
        assert tokenizer.encode(text) == reference.encode(text, add_special_tokens=False)
    assert tokenizer.encode("<|mask|>") == [270]
    assert tokenizer.decode([270, 97]) == tokenizer.decode([97])


def test_an_added_token_whose_id_does_not_match_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"'<\|start\|>' the id 300"):
        load(write_dream_layout(tmp_path, first_added=300))


def test_directories_without_a_readable_tokenizer_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no tokenizer"):
        load(tmp_path)
    (tmp_path / "tokenizer.model").touch()
    with pytest.raises(CheckpointError, match=r"tokenizer\.model only"):
        load(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load(tmp_path)


def test_an_unknown_slow_tokenizer_is_refused(tmp_path: Path) -> None:
    write_dream_layout(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "NewTokenizer"}')
    with pytest.raises(CheckpointError, match="never executed"):
        load(tmp_path)


def test_saved_truncation_and_padding_do_not_apply(tmp_path: Path) -> None:
    backend = vocabularies.byte_level()
    backend.enable_truncation(2)
    backend.enable_padding(length=8)
    tokenizer = load(vocabularies.write(tmp_path, backend))
    assert len(tokenizer.encode("xyz")) == 3
    assert len(tokenizer.encode("x")) == 1


@given(st.lists(st.integers(0, 280), max_size=40), st.booleans())
def test_bytes_of_tokens_add_up_to_the_decoded_text(ids: list[int], skip: bool) -> None:
    shown = [i for i in ids if not (skip and i in BYTES.special_ids)]
    joined = b"".join(BYTES.token_bytes(i) for i in shown)
    assert joined.decode("utf-8", "replace") == BYTES.decode(ids, skip_special_tokens=skip)


def test_half_a_character_is_one_byte_and_shown_as_a_replacement() -> None:
    ids = BYTES.encode("🙂")
    assert len(ids) == 2
    assert [BYTES.token_bytes(i) for i in ids] == [b"\xf0\x9f\x99", b"\x82"]
    assert [BYTES.token_text(i) for i in ids] == ["\ufffd", "\ufffd"]
    assert BYTES.token_bytes(500) == b""


def test_pieces_stand_for_spaces_and_bytes() -> None:
    ids = PIECES.encode("a the ☃")
    assert b"".join(PIECES.token_bytes(i) for i in ids) == " a the ☃".encode()
    assert PIECES.decode(ids) == "a the ☃"
    assert PIECES.token_text(PIECES.encode("a")[0]) == " a"


def test_importing_the_tokenizer_imports_neither_torch_nor_transformers() -> None:
    code = (
        "import sys, dfastllm.tokenizer, dfastllm.text;"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    root = Path(tokenizer_module.__file__).parents[1]
    subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(root)}, check=True)
