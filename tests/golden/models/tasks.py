"""Records encode, encode_query and encode_document of sentence-transformers, with lengths and prompts of their own.

Writes tasks.json: {"versions", "model", "text", "cases": [{"sentence_bert_config", "config_sentence_transformers",
"call", "vectors": {"any", "query", "document"}}]}. A case is a tiny checkpoint with members of two files set, or removed
where they are null; "call" are arguments of the three methods; of a vector the first eight elements are kept, from the
model in double precision. Use: tasks.py
"""
import json
import os
import shutil
import tempfile

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
import sentence_transformers
import torch
import transformers
from sentence_transformers import SentenceTransformer

HERE = os.path.dirname(os.path.abspath(__file__))
MODEL = "bert-cls-relu-prefix"
TEXT = "a good dog reads books in the house together and the cat sleeps here in small spaces"
LENGTHS = {"query_length": 6, "document_length": 11}
PROMPTS = {"query": "query: ", "document": "passage: "}


def case(sentence={}, settings={}, call={}):
    return {"sentence_bert_config": sentence, "config_sentence_transformers": settings, "call": call}


CASES = [
    case(), case(LENGTHS), case({"query_length": 7}), case({"document_length": 30}), case({"query_length": None}),
    case({"max_seq_length": 9, "document_length": 14}), case({**LENGTHS, "processing_kwargs": {"text": {"max_length": 8}}}),
    case(LENGTHS, {"prompts": PROMPTS, "default_prompt_name": None}), case({}, {"prompts": {"query": "query: "}}),
    case({}, {"prompts": {"passage": "passage: "}, "default_prompt_name": "passage"}),
    case({}, {"prompts": {"corpus": "passage: ", "document": ""}, "default_prompt_name": None}),
    case(LENGTHS, {"prompts": None, "default_prompt_name": None}), case(LENGTHS, {}, {"prompt": "the "}),
    case({}, {"prompts": PROMPTS}, {"prompt_name": "document"}), case(LENGTHS, {"prompts": PROMPTS}, {"prompt": ""}),
]


def change(directory, name, changes):
    path = os.path.join(directory, name)
    with open(path) as f:
        given = {**json.load(f), **changes}
    with open(path, "w") as f:
        json.dump({k: v for k, v in given.items() if v is not None}, f)


def vectors(c):
    with tempfile.TemporaryDirectory() as directory:
        shutil.copytree(os.path.join(HERE, MODEL), directory, dirs_exist_ok=True)
        change(directory, "sentence_bert_config.json", c["sentence_bert_config"])
        change(directory, "config_sentence_transformers.json", c["config_sentence_transformers"])
        st = SentenceTransformer(directory, device="cpu", model_kwargs={"dtype": torch.float32})
        st.eval().to(torch.float64)
        ways = {"any": st.encode, "query": st.encode_query, "document": st.encode_document}
        return {name: [round(x, 9) for x in encode(TEXT, **c["call"])[:8].tolist()] for name, encode in ways.items()}


torch.set_num_threads(1)
transformers.logging.set_verbosity_error()
made = {"versions": {"sentence_transformers": sentence_transformers.__version__, "torch": torch.__version__},
        "model": MODEL, "text": TEXT, "cases": [{**c, "vectors": vectors(c)} for c in CASES]}
with open(os.path.join(HERE, "tasks.json"), "w") as out:
    out.write(json.dumps(made).replace('{"sentence_bert_config"', '\n{"sentence_bert_config"') + "\n")
