"""Every family of transformers that reads tokens → whether its layers equal its hidden states.

    python -m tests.encoder_zoo              # the table of all families
    python -m tests.encoder_zoo xlnet bart   # of some

The families are those of transformers' own mapping of models. Each is built with a few layers and
random weights, and each hidden state, pooled by hand, is compared with what is read here. A family
that is not compared has its reason in `tests.encoder_exceptions`; one that has none fails, and so
does one that has a reason and is compared.
"""

from __future__ import annotations

import inspect
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_MAPPING, MODEL_MAPPING_NAMES

from sklearn_pretrained import PretrainedTextFeaturizer
from sklearn_pretrained.exceptions import LayerError
from sklearn_pretrained.running import eager
from sklearn_pretrained.taps._taps import first_tensor
from tests.encoder_exceptions import EXCEPTIONS
from tests.text_zoo import TEXTS, TOLERANCE, save_tokenizer

_LARGEST = 5_000_000
_TINY = {
    **dict.fromkeys(("hidden_size", "d_model", "dim", "n_embd", "emb_dim", "embedding_size"), 16),
    **dict.fromkeys(("num_hidden_layers", "n_layers", "n_layer", "num_layers"), 3),
    **dict.fromkeys(("encoder_layers", "num_encoder_layers"), 3),
    **dict.fromkeys(("decoder_layers", "num_decoder_layers"), 2),
    **dict.fromkeys(("num_attention_heads", "n_heads", "n_head", "num_heads"), 2),
    **dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 2),
    **dict.fromkeys(("num_encoder_attention_heads", "num_decoder_attention_heads"), 2),
    **dict.fromkeys(("intermediate_size", "d_ff", "d_inner", "hidden_dim", "ffn_dim"), 24),
    **dict.fromkeys(("encoder_ffn_dim", "decoder_ffn_dim"), 24),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts"), 2),
    **dict.fromkeys(("head_dim", "d_kv", "v_head_dim", "kv_lora_rank", "q_lora_rank"), 8),
    **dict.fromkeys(("qk_rope_head_dim", "qk_nope_head_dim"), 4),
    "vocab_size": 40, "num_key_value_heads": 2, "num_experts_per_tok": 1,
    "moe_intermediate_size": 8, "pad_token_id": 0, "pad_index": 0, "bos_token_id": 1,
    "eos_token_id": 2, "decoder_start_token_id": 1,
}  # fmt: skip
_OF_ONE = {"quantization_config", "per_layer_config", "attn_config", "ffn_config"}
"""Configurations inside that of a network, which describe no other one."""
_MROPE = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 2]}
_SMALL = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "vocab_size": 40,
    "pad_token_id": 0,
}
_GEMMA4 = {"vocab_size_per_layer_input": 40, "hidden_size_per_layer_input": 8}
_MAMBA = {"mamba_n_heads": 4, "mamba_d_head": 8, "mamba_n_groups": 1, "mamba_d_state": 8}
FURTHER = {
    "axk1": {"qk_rope_head_dim": 8, "n_group": 1, "topk_group": 1},
    "bailing_hybrid": {"n_group": 1, "topk_group": 1},
    "bamba": {**_MAMBA, "attn_layer_indices": [1]},
    "canine": {"downsampling_rate": 2},
    "cosmos3_edge_text": {"rope_parameters": _MROPE},
    "deepseek_v3": {"qk_rope_head_dim": 8},
    "dots3_note_text": {
        "layer_types": ["indexed_attention"] * 3,
        "shared_experts_intermediate_size": 24,
        "index_head_dim": 8,
        "index_n_heads": 2,
        "index_topk": 16,
    },
    "dots1": {"n_shared_experts": 1, "n_group": 1, "topk_group": 1},
    **{
        family: {"rope_parameters": _MROPE}
        for family in ("glm4v_text", "glm_image_text", "glm_ocr_text")
    },
    "glm4v_moe_text": {"rope_parameters": _MROPE, "head_dim": 16},
    "dbrx": {
        "attn_config": {"rope_theta": 1e4, "kv_n_heads": 2, "clip_qkv": 8.0},
        "ffn_config": {"ffn_hidden_size": 24, "moe_num_experts": 2, "moe_top_k": 1},
    },
    **{
        family: {"text_config": {**_SMALL, **_GEMMA4}, "pad_token_id": 0}
        for family in ("embedding_gemma2", "gemma4", "gemma4_unified")
    },
    "fuyu": {"text_config": _SMALL},
    "funnel": {"block_sizes": [1, 1], "num_decoder_layers": 1, "d_head": 8},
    "gemma4_text": _GEMMA4,
    "gemma3n_text": {
        "num_kv_shared_layers": 0,
        "vocab_size_per_layer_input": 40,
        "hidden_size_per_layer_input": 8,
        "laurel_rank": 4,
    },
    "glm5_next_text": {
        "qk_rope_head_dim": 0,
        "linear_head_dim": 8,
        "linear_num_heads": 2,
        "index_topk": 16,
        "index_kpool": 4,
        "index_head_dim": 8,
        "index_n_heads": 2,
        "hc_mult": 2,
        "layer_types": ["linear_attention", "linear_attention", "indexed_attention"],
    },
    "gpt_neo": {"num_layers": 2, "attention_types": [[["global", "local"], 1]]},
    "gptj": {"rotary_dim": 4},
    "granitemoehybrid": {**_MAMBA, "layer_types": ["mamba", "attention", "mamba"]},
    "layoutlmv3": {"coordinate_size": 2, "shape_size": 4},
    "hunyuan_vl_text": {"rope_parameters": {**_MROPE, "mrope_section": [2, 1, 1]}},
    "hy_v4_vl_text": {"qk_rope_head_dim": 8, "rope_parameters": _MROPE},
    "lilt": {"hidden_size": 24},
    "longcat_flash": {
        "num_layers": 2,
        "ffn_hidden_size": 24,
        "expert_ffn_hidden_size": 8,
        "moe_topk": 2,
        "zero_expert_num": 1,
        "head_dim": 4,
        "qk_rope_head_dim": 4,
    },
    "lfm2_moe": {"num_dense_layers": 1, "layer_types": ["conv", "full_attention", "conv"]},
    "luke": {"entity_vocab_size": 10, "entity_emb_size": 8},
    "mimo_v2_flash": {"head_dim": 24, "num_key_value_heads": 1},
    "neomme": {"head_dim": 16, "embedding_rank": 8, "embedding_dim": 8, "patch_size": 2},
    "mamba2": {"num_heads": 4, "head_dim": 8, "n_groups": 1, "state_size": 8},
    **{family: {"rope_parameters": _MROPE} for family in ("qwen2_vl_text", "qwen2_5_vl_text")},
    "reformer": {"axial_pos_embds": False},
    "roc_bert": {"pronunciation_vocab_size": 20, "shape_vocab_size": 20},
    "t5gemma": {"encoder": _SMALL, "decoder": _SMALL},
    "xmod": {"languages": ["en_XX"], "default_language": "en_XX"},
    "youtu": {"qk_rope_head_dim": 8},
    "zamba": {"num_hidden_layers": 10},
    "zamba2": {
        "layers_block_type": ["linear_attention", "hybrid", "linear_attention"],
        "n_mamba_heads": 4,
        "mamba_d_state": 8,
        "adapter_rank": 8,
    },
}
"""What some families need besides to be built so small."""


class NotComparedError(Exception):
    """A family is none that reads tokens alone, or cannot be built small; the message says why."""


def configuration(family: str) -> Any:
    """Make a family's configuration, as small as it will be."""
    kind = CONFIG_MAPPING[family]
    known = set(inspect.signature(kind.__init__).parameters) | set(vars(kind()))
    for ancestor in kind.__mro__:
        known |= set(vars(ancestor).get("__annotations__", {}))
    options = {name: value for name, value in _TINY.items() if name in known}
    return kind(**{**options, **FURTHER.get(family, {})})


def build(family: str) -> tuple[Any, Any]:
    """Return a family's network, and the part of it that reads texts."""
    try:
        config = configuration(family)
        whole = MODEL_MAPPING[type(config)]
        whole = whole[0] if isinstance(whole, tuple | list) else whole
    except Exception as error:
        raise NotComparedError(f"cannot be made small: {type(error).__name__}") from error
    inner = [
        name
        for name, value in config.to_dict().items()
        if name.endswith("_config") and value and name not in _OF_ONE
    ]
    if inner and inner != ["text_config"]:
        raise NotComparedError(f"is made of several networks ({', '.join(inner)})")
    if whole.main_input_name != "input_ids":
        raise NotComparedError(f"reads {whole.main_input_name}")
    alone = getattr(transformers, whole.__name__.removesuffix("Model") + "EncoderModel", None)
    if alone is not None:
        whole, config.is_encoder_decoder = alone, False
    try:
        with torch.device("meta"):
            size = sum(parameter.numel() for parameter in whole(config).parameters())
        if size > _LARGEST:
            raise NotComparedError(f"cannot be made small: {size} parameters")
        network = whole(config).eval()
    except NotComparedError:
        raise
    except Exception as error:
        raise NotComparedError(f"cannot be built so small: {type(error).__name__}") from error
    for parameter in network.parameters():  # as far apart as trained weights
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    half = network.config.is_encoder_decoder
    return network, network.get_encoder() if half else network


def expected(family: str, folder: Path) -> list[np.ndarray]:
    """Save a family's network; return its hidden states and its output, the mean of each text."""
    torch.manual_seed(0)
    network, reader = build(family)
    network.save_pretrained(folder)
    save_tokenizer(folder, has_class=True)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    # Dory's loops would read what they wrote there a loop before.
    keeps = "use_cache" in inspect.signature(reader.forward).parameters
    options = {"output_hidden_states": True, **({"use_cache": False} if keeps else {})}
    found = []
    for text in TEXTS:
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        try:
            with torch.no_grad():
                out = reader(input_ids=ids, **options)
        except Exception as error:
            raise NotComparedError(f"does not run over texts: {str(error)[:80]}") from error
        if getattr(out, "hidden_states", None) is None:
            raise NotComparedError("names no hidden states")
        states = map(first_tensor, (*out.hidden_states, out))
        # Some fill texts up to whole windows, on the right.
        means = [x[:, : ids.shape[1]].mean(1) if x.ndim > 2 else x for x in states]
        found.append([mean[0].numpy() for mean in means])
    return [np.vstack(state) for state in zip(*found, strict=True)]


def compare(family: str) -> list[str]:
    """Say of each hidden state, and of the output, whether it is equal, refused or different."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / family
        states = expected(family, folder)
        verdicts = []
        for layer in [*range(len(states) - 1), "penultimate"]:
            ours = PretrainedTextFeaturizer(
                str(folder), layer=layer, pooling="mean", device="cpu", cache=None, batch_size=3
            )
            try:
                rows = ours.fit_transform(TEXTS)
            except LayerError:
                verdicts.append("refused")
                continue
            except ValueError as error:  # where the network cannot be planned
                verdicts.append("refused" if "cannot be run" in str(error) else f"RAISED {error}")
                continue
            wanted = states[layer if isinstance(layer, int) else -1]
            gap = np.linalg.norm(rows - wanted, axis=1) / np.linalg.norm(wanted, axis=1)
            verdicts.append("equal" if gap.max() < TOLERANCE else f"DIFFERS {gap.max():.0e}")
    eager.unload()
    return verdicts


def judged(family: str, found: list[str] | Exception) -> tuple[str, str]:
    """Say in a word what came of a family, and what is to be said of it; capitals are faults."""
    if isinstance(found, NotComparedError):
        if family in EXCEPTIONS:
            return "not compared", EXCEPTIONS[family]
        return "UNEXPLAINED", str(found)
    if isinstance(found, Exception):
        return "RAISED", f"{type(found).__name__}: {str(found)[:80]}"
    if family in EXCEPTIONS:
        return "COMPARED", f"although it is an exception: {EXCEPTIONS[family]}"
    kinds = Counter(found)
    wrong = next((one for one in found if one[0].isupper()), "")
    verdict = wrong or ("refused" if set(kinds) == {"refused"} else "equal")
    return verdict, ", ".join(f"{n} {kind}" for kind, n in kinds.items())


def main(families: list[str]) -> int:
    """Print the table; the exit status counts the families that are not as they should be."""
    counts: Counter[str] = Counter()
    for family in families or sorted(MODEL_MAPPING_NAMES):
        found: list[str] | Exception
        try:
            found = compare(family)
        except Exception as error:
            found = error
        verdict, details = judged(family, found)
        counts[verdict if verdict[0].islower() else verdict.partition(" ")[0]] += 1
        print(f"{family:32} {verdict[:60]:14} {details}", flush=True)
    print(dict(counts))
    return sum(n for verdict, n in counts.items() if verdict[0].isupper())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
