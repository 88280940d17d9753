"""Trains Primer from nothing and writes it as a Hugging Face checkpoint.

    train.py OUT [--steps 2000] [--seed 2] [--stop-after N]

1. A byte-level BPE vocabulary of 1,024, each digit by itself, learnt from 4,000 generated conversations.
2. Conversations in rows of 256 tokens, in the last tenth of the steps of 1,024 (as many tokens a step), made by several
   processes: each row follows from the seed and its number, so it does not matter how many cores made them.
3. Muon for the matrices and AdamW for the rest, on the loss of the answers' tokens alone; bf16 arithmetic on a GPU, f32
   on a CPU; weights kept in f32 and written in bf16.
"""
import argparse
import concurrent.futures
import itertools
import json
import os
import random
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
import numpy as np
import tokenizers
import torch
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import Qwen3Config, Qwen3ForCausalLM

import facts
import generate

VOCABULARY, ROWS, PEAK = 1024, 32, 2e-3
END_OF_TEXT, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
# Qwen's pattern: contractions, words with what stands before them, single digits, marks, line ends, spaces.
PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
           r"|\s*[\r\n]+|\s+(?!\S)|\s+")
TEMPLATE = """{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}"""
SHORT_ROW, LONG_ROW, ROWS_A_SHARD = 256, 1024, 1024
CONFIG = {
    "architectures": ["Qwen3ForCausalLM"], "attention_bias": False, "attention_dropout": 0.0, "bos_token_id": None,
    "eos_token_id": 2, "head_dim": 64, "hidden_act": "silu", "hidden_size": 256, "initializer_range": 0.02,
    "intermediate_size": 640, "max_position_embeddings": LONG_ROW, "max_window_layers": 4, "model_type": "qwen3",
    "num_attention_heads": 4, "num_hidden_layers": 4, "num_key_value_heads": 2, "pad_token_id": 0,
    "rms_norm_eps": 1e-06, "rope_scaling": None, "rope_theta": 10000.0, "sliding_window": None,
    "tie_word_embeddings": True, "torch_dtype": "bfloat16", "use_cache": True, "use_sliding_window": False,
    "vocab_size": VOCABULARY,
}


def write_json(out, name, value):
    with open(os.path.join(out, name), "w", encoding="utf-8") as file:
        json.dump(value, file, indent=2, ensure_ascii=False)
        file.write("\n")


def make_tokenizer(seed):
    def texts():
        for i in range(4000):
            talk = generate.Conversation(random.Random(f"{seed} vocabulary {i}"))
            for _ in range(8):
                kind, question, answer = talk.turn()
                if kind not in ("backwards", "spelling"):  # made-up words teach no vocabulary
                    yield from ("user\n", "assistant\n", "system\n", question, answer)

    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(tokenizers.Regex(PATTERN), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    special = [END_OF_TEXT, START, END]  # ids 0, 1, 2
    tokenizer.train_from_iterator(texts(), trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False))
    return tokenizer


def make_rows(job):
    """Rows of one shard: ids, and which of them are answers. A row is one conversation, as long as it fits."""
    path, seed, shard, length, count = job
    tokenizer = tokenizers.Tokenizer.from_file(path)
    ids = np.full((count, length), tokenizer.token_to_id(END_OF_TEXT), np.uint16)
    taught = np.zeros((count, length), bool)

    def encode(text):
        return tokenizer.encode(text).ids

    user, assistant, end = encode(f"{START}user\n"), encode(f"{END}\n{START}assistant\n"), encode(f"{END}\n")
    for row in range(count):
        rng = random.Random(f"{seed} {length} {shard} {row}")
        talk, used = generate.Conversation(rng), 0
        if rng.random() < 0.1:
            opening = encode(f"{START}system\n{rng.choice(facts.SYSTEM)}{END}\n")
            ids[row, :len(opening)] = opening
            used = len(opening)
        while True:
            _, question, answer = talk.turn()
            asked = user + encode(question) + assistant
            told = encode(answer) + end
            if used + len(asked) + len(told) > length:
                break
            ids[row, used:used + len(asked) + len(told)] = asked + told
            taught[row, used + len(asked):used + len(asked) + len(told) - 1] = True  # not the line end after <|im_end|>
            used += len(asked) + len(told)
    return ids, taught


def make_data(path, seed, length, rows):
    jobs = [(path, seed, shard, length, ROWS_A_SHARD) for shard in range(-(-rows // ROWS_A_SHARD))]
    with concurrent.futures.ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        parts = list(pool.map(make_rows, jobs))
    return tuple(np.concatenate([part[i] for part in parts])[:rows] for i in (0, 1))


def batches(path, seed, steps):
    """(ids, answers) of each step; the order follows from the seed alone."""
    long_steps, factor = steps // 10, LONG_ROW // SHORT_ROW
    for length, count, size in ((SHORT_ROW, steps - long_steps, ROWS), (LONG_ROW, long_steps, ROWS // factor)):
        ids, taught = make_data(path, seed, length, count * size)
        for i in range(count):
            yield ids[i * size:(i + 1) * size], taught[i * size:(i + 1) * size]


def learning_rate(step, steps):
    return PEAK * min(1, (step + 1) / 100, (steps - step) / steps / 0.7 + 0.01)


def train(path, args):
    torch.manual_seed(args.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = Qwen3ForCausalLM(Qwen3Config(**CONFIG)).to(device)
    inner = [p for n, p in model.named_parameters() if p.ndim > 1 and "embed" not in n]
    outer = [p for n, p in model.named_parameters() if p.ndim == 1 or "embed" in n]
    optimizers = [torch.optim.Muon(inner, lr=0, weight_decay=0.1, momentum=0.95, adjust_lr_fn="match_rms_adamw"),
                  torch.optim.AdamW(outer, lr=0, betas=(0.9, 0.98), weight_decay=0, fused=True)]
    started = time.perf_counter()
    for step, (ids, taught) in enumerate(itertools.islice(batches(path, args.seed, args.steps), args.stop_after)):
        ids = torch.from_numpy(ids.astype(np.int64)).to(device)
        labels = torch.where(torch.from_numpy(taught).to(device), ids, -100)[:, 1:]
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, args.steps)
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            logits = model(input_ids=ids[:, :-1], use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), labels.flatten(), ignore_index=-100)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if step % 100 == 0 or step == args.steps - 1:
            print(f"step {step:5}  loss {loss.item():.4f}  {time.perf_counter() - started:6.0f} s", flush=True)
    seconds = time.perf_counter() - started
    print(f"{step + 1} steps of {ROWS * SHORT_ROW} tokens on {device} in {seconds:.0f} s, rows and all")
    return model


def write_tokenizer(out, tokenizer):
    tokenizer.save(os.path.join(out, "tokenizer.json"))
    token = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    write_json(out, "tokenizer_config.json", {
        "add_bos_token": False, "add_prefix_space": False,
        "added_tokens_decoder": {str(i): {"content": t, **token} for i, t in enumerate((END_OF_TEXT, START, END))},
        "additional_special_tokens": [START, END], "bos_token": None, "chat_template": TEMPLATE,
        "clean_up_tokenization_spaces": False, "eos_token": END, "errors": "replace", "model_max_length": LONG_ROW,
        "pad_token": END_OF_TEXT, "split_special_tokens": False, "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": None})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--stop-after", type=int, help="for timing: leave after so many steps")
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    tokenizer = make_tokenizer(args.seed)
    write_tokenizer(args.out, tokenizer)
    model = train(os.path.join(args.out, "tokenizer.json"), args)
    model.to("cpu", torch.bfloat16).save_pretrained(args.out)
    write_json(args.out, "config.json", CONFIG)
    write_json(args.out, "generation_config.json", {"do_sample": False, "eos_token_id": [2, 0], "pad_token_id": 0})


if __name__ == "__main__":
    main()
