"""A local model, for real: tiny Llamas built here, one wired to say a known sentence, loaded in a worker process."""

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from core.learning import ask_local, ask_local_worker, ask_model
from core.learning.ask_local import LocalModel, LocalModelError
from core.learning.ask_model import ModelError
from core.learning.ask_passages import Passage

PASSAGES = (
    Passage(page="slider", page_title="G is a slider", title="Names", text="G = 1 is MQA.", script="learn/slider.py"),
)
SAYS = "one head is MQA [1]"


@pytest.fixture(autouse=True, scope="module")
def _worker_ends() -> Iterator[None]:
    yield
    ask_local.stop()


def tokenizer(folder: Path) -> dict[str, int]:
    """A word-level tokenizer of the sentence's words, saved to the folder; its vocabulary."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["<unk>", "<eos>", "Answer:", *SAYS.split()]
    vocabulary = {word: number for number, word in enumerate(words)}
    built = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    built.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=built, unk_token="<unk>", eos_token="<eos>").save_pretrained(folder)
    return vocabulary


def llama(folder: Path, *, says: bool, longest: int = 2_048) -> Path:
    """A Llama of one layer with random weights; with says, wired so that each word leads to the sentence's next."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    vocabulary = tokenizer(folder)
    size = len(vocabulary)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=size, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=longest, eos_token_id=1, bos_token_id=None, pad_token_id=None,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    if says:
        chain = [vocabulary[word] for word in ("Answer:", *SAYS.split(), "<eos>")]
        with torch.no_grad():
            model.model.layers[0].self_attn.o_proj.weight.zero_()
            model.model.layers[0].mlp.down_proj.weight.zero_()
            model.model.embed_tokens.weight.copy_(torch.eye(size, 16))
            model.lm_head.weight.zero_()
            for before, after in pairwise(chain):
                model.lm_head.weight[after, before] = 1.0
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def speaking(tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    return LocalModel(model=str(llama(tmp_path_factory.mktemp("speaking"), says=True)))


@pytest.mark.torch
def test_a_local_model_answers_from_the_passages(speaking: LocalModel) -> None:
    found = ask_model.answer("What is MQA?", PASSAGES, speaking)
    assert (found.text, found.cited) == (SAYS, (1,))


@pytest.mark.torch
def test_the_process_is_kept_for_the_next_question_and_ends_with_its_input(speaking: LocalModel) -> None:
    ask_model.answer("What is MQA?", PASSAGES, speaking)
    process = ask_local._worker.process
    assert process is not None
    ask_model.answer("And GQA?", PASSAGES, speaking)
    assert ask_local._worker.process is process
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(timeout=60) == 0
    assert ask_model.answer("What is MQA?", PASSAGES, speaking).text == SAYS  # another one is started


@pytest.mark.torch
def test_a_process_that_dies_is_named_and_the_next_question_starts_another(speaking: LocalModel) -> None:
    ask_model.answer("What is MQA?", PASSAGES, speaking)
    process = ask_local._worker.process
    assert process is not None
    process.kill()
    process.wait(timeout=60)
    assert ask_model.answer("What is MQA?", PASSAGES, speaking).text == SAYS


@pytest.mark.torch
def test_a_model_that_babbles_is_not_shown(tmp_path: Path) -> None:
    babbling = LocalModel(model=str(llama(tmp_path, says=False)))
    with pytest.raises(ModelError, match=r"does not cite|no answer in the passages"):
        ask_model.answer("What is MQA?", PASSAGES, babbling)


@pytest.mark.torch
def test_a_model_in_the_tokenizer_s_chat_format(tmp_path: Path) -> None:
    folder = llama(tmp_path, says=True)
    (folder / "chat_template.jinja").write_text("{{ messages[0].content }} Answer:", encoding="utf-8")
    assert ask_model.answer("What is MQA?", PASSAGES, LocalModel(model=str(folder))).text == SAYS


@pytest.mark.torch
def test_a_model_that_is_not_there_is_named_and_nothing_is_fetched() -> None:
    with pytest.raises(ModelError, match=r"'nobody/no-such-model' gave no answer: .*HEADROOM_ASK_DOWNLOAD=1"):
        ask_model.answer("?", PASSAGES, LocalModel(model="nobody/no-such-model"))


@pytest.mark.torch
def test_broken_weights_are_named(tmp_path: Path) -> None:
    folder = llama(tmp_path, says=True)
    (folder / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(ModelError, match="gave no answer: SafetensorError"):
        ask_model.answer("?", PASSAGES, LocalModel(model=str(folder)))


@pytest.mark.torch
def test_passages_longer_than_the_model_s_context_are_refused(tmp_path: Path) -> None:
    folder = llama(tmp_path, says=True, longest=64)
    with pytest.raises(ModelError, match="takes 64 tokens and this question needs"):
        ask_model.answer("?", PASSAGES, LocalModel(model=str(folder)))


@pytest.mark.torch
def test_a_repository_s_code_is_not_run(tmp_path: Path) -> None:
    folder = llama(tmp_path, says=True)
    marker = tmp_path / "ran"
    (folder / "modeling_own.py").write_text(f"open({str(marker)!r}, 'w')\nclass Own: pass\n", encoding="utf-8")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config |= {
        "model_type": "own",
        "auto_map": {"AutoConfig": "modeling_own.Own", "AutoModelForCausalLM": "modeling_own.Own"},
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ModelError, match="gave no answer"):
        ask_model.answer("?", PASSAGES, LocalModel(model=str(folder)))
    assert not marker.exists()


@pytest.mark.torch
def test_a_model_that_takes_too_long_is_stopped(speaking: LocalModel) -> None:
    ask_local.stop()
    with pytest.raises(LocalModelError, match=r"took longer than 0.01 s and was stopped"):
        ask_local.reply("?", speaking, max_tokens=8, timeout_s=0.01)
    assert ask_local._worker.process is None


@pytest.mark.parametrize(
    ("text", "asked", "answer"),
    [
        ("<think>Heads, see [1].</think> MQA [1].", "?", "MQA [1]."),
        ("Heads, see [1].</think>\nMQA [1].", "?<think>\n", "MQA [1]."),
        ("<think>Heads, see [1]. And", "?", ""),
        ("Heads, see [1]. And", "?<think>\n", ""),  # the template opened the thought
        ("MQA [1].", "?", "MQA [1]."),
    ],
)
def test_a_thought_is_no_answer(text: str, asked: str, answer: str) -> None:
    assert ask_local_worker.without_thought(text, asked) == answer
