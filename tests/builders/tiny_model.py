"""A base model directory made by the test: real tokenizer and config, no weights worth the name.

Needs the ``tokenizers`` library only; the trainer's tests put random weights on top.
"""

import json
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": True,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
    "dtype": "float32",
}

CORPUS = [
    "system user assistant where is my card the answer is in the label list",
    "Please block my card, it was stolen yesterday in the city.",
    '{"date": "next week", "time": "9 in the morning", "people": "two"}',
    "How long does a transfer take and what does it cost?",
]


def make_tokenizer(
    directory: Path, *, chat_template: bool | str = True, weights: bool = True
) -> Path:
    """Write config, tokenizer and template; returns the directory.

    ``chat_template`` may be another template's text. ``weights`` writes an empty safetensors
    file, which is all that prepare looks for.
    """
    directory.mkdir(parents=True, exist_ok=True)
    tokenizer = byte_level_tokenizer()
    tokenizer.save(str(directory / "tokenizer.json"))
    config = CONFIG | {"vocab_size": tokenizer.get_vocab_size()}
    (directory / "config.json").write_text(json.dumps(config))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": SPECIAL[1],
        "eos_token": SPECIAL[2],
        "pad_token": SPECIAL[0],
    }
    (directory / "tokenizer_config.json").write_text(json.dumps(settings))
    if chat_template:
        template = CHAT_TEMPLATE if chat_template is True else chat_template
        (directory / "chat_template.jinja").write_text(template)
    if weights:
        header = b"{}      "
        (directory / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    return directory


def byte_level_tokenizer() -> Tokenizer:
    """Byte-level BPE: every text can be encoded and comes back byte for byte."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer
