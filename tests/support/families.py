"""Small configurations of the families of encoders that trialtune is checked with."""

from transformers import (
    AlbertConfig,
    BertConfig,
    BigBirdConfig,
    CamembertConfig,
    DebertaConfig,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    LongformerConfig,
    ModernBertConfig,
    MPNetConfig,
    PretrainedConfig,
    RobertaConfig,
    XLMRobertaConfig,
)

_SHAPE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
_MARKS = {"bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3}
_DEBERTA = {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "max_relative_positions": 64}
# What each needs beside the shape.
_FAMILIES = {
    "bert": (BertConfig, {}),
    "roberta": (RobertaConfig, {}),
    "xlm-roberta": (XLMRobertaConfig, {}),
    "camembert": (CamembertConfig, {}),
    "distilbert": (DistilBertConfig, {}),
    "electra": (ElectraConfig, {"embedding_size": 16}),
    "albert": (AlbertConfig, {"embedding_size": 16}),  # its layers share weights
    "mpnet": (MPNetConfig, {}),
    "deberta": (DebertaConfig, _DEBERTA),
    "deberta-v2": (DebertaV2Config, {**_DEBERTA, "position_buckets": 16, "norm_rel_ebd": "layer_norm"}),
    "modernbert": (ModernBertConfig, _MARKS),
    "longformer": (LongformerConfig, {"attention_window": 16}),
    "big_bird": (BigBirdConfig, {"attention_type": "original_full"}),
}
NAMES = list(_FAMILIES)


def small(name: str, **more: object) -> PretrainedConfig:
    """A configuration of two layers; `more` goes to it as it is."""
    kind, needs = _FAMILIES[name]
    given = {"vocab_size": 99, "pad_token_id": 0, "max_position_embeddings": 128, **_SHAPE, **needs, **more}
    if name == "distilbert":
        given["hidden_dim"] = given.pop("intermediate_size")
    return kind(**given)
