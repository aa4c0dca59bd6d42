"""Tiny GGUF files of random models, quantised, and packages of parts that hold them: made on the spot with `gguf`."""

import base64
import hashlib
from pathlib import Path
from typing import Any

import torch
from tiny_models import llama
from transformers import Gemma3ForCausalLM, Gemma3TextConfig
from transformers.convert_slow_tokenizer import bytes_to_unicode

CONTROL, USER_DEFINED, BYTE = 3, 4, 6  # kinds of tokens in a GGUF file; 1 is a plain one


def gemma3(n_tokens: int, seed: int) -> Any:
    """A Gemma 3 of seven layers, of which the sixth alone reads further back than four tokens."""
    torch.manual_seed(seed)
    config = Gemma3TextConfig(
        vocab_size=n_tokens,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=7,
        num_attention_heads=4,
        num_key_value_heads=1,
        head_dim=8,
        sliding_window=4,
        max_position_embeddings=128,
        initializer_range=0.4,
    )
    return Gemma3ForCausalLM(config).eval()


def write_gemma3(path: Path, seed: int = 0) -> Any:
    """Write the file of a tiny Gemma 3 with pieces and bytes, as llama.cpp does, and return the model that it holds."""
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    own = ["\n", "\n\n", "  ", "<b>"]
    pieces = ["▁", *"abcdehlo1", "ab", "▁a", "▁ab", "he", "ll", "hell", "hello"]
    tokens = [*special, *own, *(f"<0x{byte:02X}>" for byte in range(256)), *pieces]
    kinds = [CONTROL] * len(special) + [USER_DEFINED] * len(own) + [BYTE] * 256 + [1] * len(pieces)
    model = gemma3(len(tokens), seed)
    file = _begun(path, "gemma3", model)
    file.add_key_length(8)
    file.add_value_length(8)
    file.add_sliding_window(model.config.sliding_window)
    file.add_tokenizer_model("llama")
    file.add_tokenizer_pre("default")
    file.add_token_list(tokens)
    file.add_token_scores([-1000.0] * len(tokens))
    file.add_token_types(kinds)
    for add, token in ((file.add_bos_token_id, 2), (file.add_eos_token_id, 1), (file.add_unk_token_id, 3)):
        add(token)
    file.add_pad_token_id(0)
    file.add_add_bos_token(True)
    file.add_add_space_prefix(False)
    _finish(file, model, "GEMMA3")
    return model


def write_llama(path: Path, seed: int = 0) -> Any:
    """Write the file of a tiny Llama that reads bytes and each digit by itself, with a template of chats."""
    spelled = bytes_to_unicode()
    blank, newline = spelled[ord(" ")], spelled[ord("\n")]
    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *spelled.values(), 2 * newline, 2 * blank]
    model = llama(len(tokens), seed, width=64, eos_token_id=2, bos_token_id=1, tie_word_embeddings=True)
    file = _begun(path, "llama", model)
    file.add_vocab_size(len(tokens))
    file.add_tokenizer_model("gpt2")
    file.add_tokenizer_pre("smollm")
    file.add_token_list(tokens)
    file.add_token_types([CONTROL] * 3 + [1] * (len(tokens) - 3))
    file.add_token_merges([f"{newline} {newline}", f"{blank} {blank}"])
    file.add_bos_token_id(1)
    file.add_eos_token_id(2)
    file.add_add_bos_token(False)
    file.add_chat_template("{% for message in messages %}<|im_start|>{{ message['content'] }}<|im_end|>{% endfor %}")
    _finish(file, model, "LLAMA")
    return model


def install(folder: Path, package: str, parts: dict[str, bytes], *, has_sums: bool = True) -> None:
    """A package of these files in `folder`, as pip lays it out: its data, METADATA, and RECORD with SHA-256 sums."""
    module = package.replace("-", "_")
    info = folder / f"{module}-1.0.dist-info"
    (folder / module / "data").mkdir(parents=True, exist_ok=True)
    info.mkdir(exist_ok=True)
    record = [f"{info.name}/METADATA,,", f"{info.name}/RECORD,,"]
    for name, content in parts.items():
        (folder / module / "data" / name).write_bytes(content)
        sum_ = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
        record.append(f"{module}/data/{name}," + (f"sha256={sum_},{len(content)}" if has_sums else ","))
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "RECORD").write_text("\n".join(record) + "\n")


def _begun(path: Path, architecture: str, model: Any) -> Any:
    """A writer that has been told of the model's shape."""
    from gguf import GGUFWriter

    config = model.config
    rope = config.rope_parameters
    file = GGUFWriter(path, architecture)
    file.add_name(f"tiny {architecture}")
    file.add_context_length(config.max_position_embeddings)
    file.add_embedding_length(config.hidden_size)
    file.add_block_count(config.num_hidden_layers)
    file.add_feed_forward_length(config.intermediate_size)
    file.add_head_count(config.num_attention_heads)
    file.add_head_count_kv(config.num_key_value_heads)
    file.add_layer_norm_rms_eps(config.rms_norm_eps)
    file.add_rope_freq_base(rope.get("full_attention", rope)["rope_theta"])
    return file


def _finish(file: Any, model: Any, architecture: str) -> None:
    """Write the weights, matrices quantised to 8 bits, and give the model the numbers that these unpack to."""
    from gguf import MODEL_ARCH, GGMLQuantizationType, dequantize, get_tensor_name_map, quantize

    kind = GGMLQuantizationType.Q8_0
    names = get_tensor_name_map(MODEL_ARCH[architecture], model.config.num_hidden_layers)
    for name, weight in model.named_parameters():
        values = weight.detach().numpy()
        stored = names.get_name(name, try_suffixes=(".weight",))
        if values.ndim == 1:  # a norm: eighths, so that the 1 that Gemma's files add to it loses nothing
            values = (8 * torch.randn(len(values))).round().numpy() / 8
            file.add_tensor(stored, values + 1 if architecture == "GEMMA3" else values)
        else:
            n_heads = {"q_proj": model.config.num_attention_heads, "k_proj": model.config.num_key_value_heads}
            heads = n_heads.get(name.split(".")[-2]) if architecture == "LLAMA" else None
            packed = quantize(values if heads is None else _interleaved(values, heads), kind)
            file.add_tensor(stored, packed, raw_dtype=kind)
            unpacked = dequantize(packed, kind)
            values = unpacked if heads is None else _interleaved(unpacked, heads, back=True)
        weight.data = torch.from_numpy(values.copy())
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()


def _interleaved(weight: Any, n_heads: int, *, back: bool = False) -> Any:
    """A head's rows in llama.cpp's order, (0, h/2), (1, h/2 + 1), ..., or back in transformers', halves apart."""
    half = weight.shape[0] // n_heads // 2
    shape = (n_heads, half, 2, -1) if back else (n_heads, 2, half, -1)
    return weight.reshape(shape).swapaxes(1, 2).reshape(weight.shape)
