"""Records how SentenceTransformer.similarity compares a query with passages, for each similarity_fn_name.

Writes similarity.json: {"versions", "model", "query", "passages", "scores": {name: [one a passage]}}. The model is one of
the tiny checkpoints, in double precision, whose vectors are not of unit length. Use: similarity.py
"""
import json
import os
import tempfile
import shutil

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
import sentence_transformers
import torch
from sentence_transformers import SentenceTransformer

HERE = os.path.dirname(os.path.abspath(__file__))
MODEL = "bert-max-gelu-new-shards"
QUERY = "the quick fox"
PASSAGES = ["the fox runs", "hello hello", "the quick fox", "a man is eating food", "", "one two three four five six"]


def scores(name):
    with tempfile.TemporaryDirectory() as directory:
        shutil.copytree(os.path.join(HERE, MODEL), directory, dirs_exist_ok=True)
        path = os.path.join(directory, "config_sentence_transformers.json")
        settings = {**json.load(open(path)), "similarity_fn_name": name}
        json.dump(settings, open(path, "w"))
        st = SentenceTransformer(directory, device="cpu", model_kwargs={"dtype": torch.float32})
        st.eval().to(torch.float64)
        assert st.similarity_fn_name == name
        vectors = [st.encode(text, convert_to_tensor=True) for text in [QUERY] + PASSAGES]
        return st.similarity(vectors[0], torch.stack(vectors[1:]))[0].tolist()


torch.set_num_threads(1)
made = {"versions": {"sentence_transformers": sentence_transformers.__version__, "torch": torch.__version__},
        "model": MODEL, "query": QUERY, "passages": PASSAGES,
        "scores": {name: scores(name) for name in ("cosine", "dot", "euclidean", "manhattan")}}
with open(os.path.join(HERE, "similarity.json"), "w") as out:
    json.dump(made, out, indent=1)
    out.write("\n")
