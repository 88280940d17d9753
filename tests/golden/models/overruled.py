"""Records what AutoTokenizer makes of tokenizer_config.json where it contradicts tokenizer.json.

Writes overruled.json: {"versions", "text", "cases": [{"model", "tokenizer_config", "normalizer", "config", "ids"}]}. A
case is a tiny checkpoint with members of three of its objects set, or removed where they are "-": tokenizer_config.json
(null: no such file), the normalizer of tokenizer.json, config.json. Use: overruled.py
"""
import json
import os
import shutil
import tempfile

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
import tokenizers
import transformers
from transformers import AutoTokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
TEXT = "The Caf\u00e9 r\u00e9ad \u4e2d\u6587 a\u0007 Dog"
BERT, MPNET = "bert-plain", "mpnet-mean"


def case(model, tokenizer_config, normalizer={}, config={}):
    return {"model": model, "tokenizer_config": tokenizer_config, "normalizer": normalizer, "config": config}


CASES = [
    case(BERT, {}), case(MPNET, {}),
    case(BERT, {"do_lower_case": False}), case(MPNET, {"do_lower_case": False}),
    case(BERT, {"do_lower_case": True}, {"lowercase": False}),
    case(BERT, {"do_lower_case": "-"}, {"lowercase": False}), case(MPNET, {"do_lower_case": "-"}, {"lowercase": False}),
    case(BERT, None, {"lowercase": False}), case(MPNET, None, {"lowercase": False}),
    case(BERT, {"strip_accents": False}), case(BERT, {"strip_accents": True, "do_lower_case": False}),
    case(BERT, {"strip_accents": "-"}, {"strip_accents": False}), case(MPNET, {}, {"strip_accents": False}),
    case(BERT, {"tokenize_chinese_chars": False}), case(MPNET, {}, {"handle_chinese_chars": False}),
    case(BERT, {}, {"clean_text": False}),
    case(BERT, {"tokenizer_class": "BertTokenizerFast", "do_lower_case": False}),
    case(BERT, {"tokenizer_class": "DistilBertTokenizer", "do_lower_case": False}),
    case(BERT, {"tokenizer_class": "ElectraTokenizerFast", "do_lower_case": False}),
    case(BERT, {"tokenizer_class": "MobileBertTokenizer", "do_lower_case": False}),
    case(BERT, {"tokenizer_class": "SqueezeBertTokenizer", "do_lower_case": False}),
    case(MPNET, {"tokenizer_class": "BertTokenizer", "do_lower_case": False}),
    case(BERT, {"tokenizer_class": "PreTrainedTokenizerFast", "do_lower_case": False}),
    case(BERT, {"tokenizer_class": "PreTrainedTokenizerFast"}, {"lowercase": False, "handle_chinese_chars": False}),
    case(BERT, {"tokenizer_class": "TokenizersBackend", "do_lower_case": False}),
    case(BERT, {"tokenizer_class": "NoSuchTokenizer", "do_lower_case": False}),
    case(BERT, {"tokenizer_class": "-", "do_lower_case": False}),
    case(MPNET, {"tokenizer_class": "-", "do_lower_case": False}),
    case(BERT, {"tokenizer_class": "-", "do_lower_case": False}, {}, {"tokenizer_class": "PreTrainedTokenizerFast"}),
    case(BERT, {"tokenizer_class": "-", "do_lower_case": False}, {}, {"tokenizer_class": "BertTokenizer"}),
    case(BERT, {"do_lower_case": False}, {}, {"tokenizer_class": "PreTrainedTokenizerFast"}),
]


def merged(given, changes):
    return {k: v for k, v in {**given, **changes}.items() if v != "-"}


def ids(c):
    with tempfile.TemporaryDirectory() as directory:
        def change(name, key, changes):
            path = os.path.join(directory, name)
            given = json.load(open(path))
            if key:
                given[key] = merged(given[key], changes)
            json.dump(given if key else merged(given, changes), open(path, "w"))
        shutil.copytree(os.path.join(HERE, c["model"]), directory, dirs_exist_ok=True)
        change("tokenizer.json", "normalizer", c["normalizer"])
        change("config.json", None, c["config"])
        if c["tokenizer_config"] is None:
            os.remove(os.path.join(directory, "tokenizer_config.json"))
        else:
            change("tokenizer_config.json", None, c["tokenizer_config"])
        return AutoTokenizer.from_pretrained(directory)(TEXT)["input_ids"]


transformers.logging.set_verbosity_error()
made = {"versions": {"transformers": transformers.__version__, "tokenizers": tokenizers.__version__}, "text": TEXT,
        "cases": [{**c, "ids": ids(c)} for c in CASES]}
with open(os.path.join(HERE, "overruled.json"), "w") as out:
    out.write(json.dumps(made).replace('{"model"', '\n{"model"') + "\n")
