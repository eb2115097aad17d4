"""Writes a model directory that is small enough for a CPU: config, byte-level BPE tokenizer, chat template, no weights.

    tiny_model.py DIRECTORY [--vocabulary N] [--merges] [--sparse] [--architecture NAME]

--merges      a tokenizer of as many merges as a large model's, which takes as long to read (some 10 MB with 151000)
--sparse      most token ids decode to nothing, as padding and special tokens of real vocabularies do
--architecture  another architecture than Qwen3's, for instance one that no engine has
"""
import argparse
import json
import random
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
WORDS = "the time year people way day man thing woman life child world school state family group country".split()
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

parser = argparse.ArgumentParser()
parser.add_argument("directory", type=Path)
parser.add_argument("--vocabulary", type=int, default=32_000)
parser.add_argument("--merges", action="store_true")
parser.add_argument("--sparse", action="store_true")
parser.add_argument("--architecture", default="Qwen3ForCausalLM")
wanted = parser.parse_args()
wanted.directory.mkdir(parents=True, exist_ok=True)

alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
vocabulary = {token: number for number, token in enumerate(alphabet)}
merges: list[tuple[str, str]] = []
size = wanted.vocabulary - len(SPECIAL)
if wanted.merges:
    draw, made = random.Random(1), list(alphabet)
    while len(vocabulary) < size:
        left, right = draw.choice(made), draw.choice(alphabet)
        if len(left) < 13 and left + right not in vocabulary:
            vocabulary[left + right] = len(vocabulary)
            merges.append((left, right))
            made.append(left + right)
else:
    for word in WORDS:
        vocabulary["\u0120" + word] = len(vocabulary)
    if not wanted.sparse:
        while len(vocabulary) < size:
            vocabulary[f"\u0120w{len(vocabulary)}"] = len(vocabulary)

tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.decoder = decoders.ByteLevel()
tokenizer.add_special_tokens(SPECIAL)
tokenizer.save(str(wanted.directory / "tokenizer.json"))
ids = {name: tokenizer.token_to_id(name) for name in SPECIAL}


def write(name: str, value: object) -> None:
    (wanted.directory / name).write_text(json.dumps(value, indent=2))


write("config.json", {
    "architectures": [wanted.architecture],
    "model_type": "qwen3" if wanted.architecture == "Qwen3ForCausalLM" else "nosuch",
    "vocab_size": wanted.vocabulary,
    "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 32, "hidden_act": "silu", "max_position_embeddings": 32768,
    "rms_norm_eps": 1e-6, "rope_theta": 1e6, "tie_word_embeddings": True, "attention_bias": False,
    "attention_dropout": 0.0, "use_cache": True, "initializer_range": 0.02, "torch_dtype": "bfloat16",
    "use_sliding_window": False, "bos_token_id": ids[SPECIAL[0]], "eos_token_id": ids[SPECIAL[2]],
})
write("generation_config.json", {"bos_token_id": ids[SPECIAL[0]], "eos_token_id": [ids[SPECIAL[2]], ids[SPECIAL[0]]]})
write("tokenizer_config.json", {
    "tokenizer_class": "PreTrainedTokenizerFast", "chat_template": TEMPLATE, "eos_token": SPECIAL[2],
    "pad_token": SPECIAL[0], "model_max_length": 32768, "clean_up_tokenization_spaces": False,
})
write("special_tokens_map.json", {"eos_token": SPECIAL[2], "pad_token": SPECIAL[0]})
