"""The checkpoint as an ONNX graph, and as ONNX Runtime's transformer optimiser rewrites it: the fastest form that each
runtime publishes for a CPU. Both are kept beside the results and made once."""
import os

import torch


class Hidden(torch.nn.Module):
    """ids and mask to the last hidden state, nothing else."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask):
        return self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state


def load(path, attention):
    from transformers import AutoModel
    return Hidden(AutoModel.from_pretrained(path, attn_implementation=attention, dtype=torch.float32).eval())


def exported(path, out, heads, hidden):
    """(plain graph, optimised graph)."""
    os.makedirs(out, exist_ok=True)
    plain, better = (os.path.join(out, n) for n in ("encoder.onnx", "encoder_optimised.onnx"))
    if not os.path.exists(plain):
        ids = torch.ones(2, 16, dtype=torch.long)
        axes = {0: "batch", 1: "tokens"}
        torch.onnx.export(load(path, "eager"), (ids, ids), plain, input_names=["input_ids", "attention_mask"],
                          output_names=["hidden"], opset_version=17, dynamo=False,
                          dynamic_axes={"input_ids": axes, "attention_mask": axes})
    if not os.path.exists(better):
        from onnxruntime.transformers import optimizer
        optimizer.optimize_model(plain, model_type="bert", num_heads=heads,
                                 hidden_size=hidden).save_model_to_file(better)
    return plain, better


def session(graph, threads):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
