"""Tokenising 1 MB of English on one thread: emily against the `tokenizers` package, whole and line by line.

Both are libraries in this process; both give ids and offsets. Every text's ids are compared before anything is timed.
"""
import ctypes
import os
import sys

import common

args = common.arguments(__doc__, bytes=(1_000_000, "of text"))
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import tokenizers

sys.path.insert(0, os.path.join(common.ROOT, "tests/golden/models"))
import minilm_texts


class Encoding(ctypes.Structure):
    """The head of em_encoding, and room for the rest."""
    _fields_ = [("length", ctypes.c_size_t), ("ids", ctypes.POINTER(ctypes.c_int32)), ("rest", ctypes.c_byte * 240)]


class Emily:
    def __init__(self, path):
        self.lib, self.handle, self.out = common.library(args), ctypes.c_void_p(), Encoding()
        if self.lib.em_tokenizer_open(path.encode(), ctypes.byref(self.handle)):
            sys.exit(self.lib.em_last_error().decode())

    def encode(self, raw):
        if self.lib.em_tokenizer_encode(self.handle, raw, ctypes.c_size_t(len(raw)), None, ctypes.byref(self.out)):
            sys.exit(self.lib.em_last_error().decode())
        return self.out

    def ids(self, raw):
        out = self.encode(raw)
        return out.ids[:out.length]


def english(size):
    random, lines, total = minilm_texts.Random(3), [], 0
    while total < size:
        words, line = minilm_texts.words(random, "english"), ""
        for _ in range(8 + random.below(30)):
            line += (" " if line else "") + next(words)
        lines.append(line)
        total += len(line) + 1
    return lines


def main():
    path = os.path.join(args.model, "tokenizer.json")
    peer, ours = tokenizers.Tokenizer.from_file(path), Emily(path)
    peer.no_truncation()
    peer.no_padding()
    lines = english(args.bytes)
    text = "\n".join(lines)
    raw, raws = text.encode(), [line.encode() for line in lines]
    for a, b in [(text, raw)] + list(zip(lines, raws)):
        if peer.encode(a).ids != ours.ids(b):
            sys.exit(f"ids differ for {a[:80]!r}")
    works = {"one text": (lambda: ours.encode(raw), lambda: peer.encode(text)),
             f"{len(lines)} lines": (lambda: [ours.encode(r) for r in raws], lambda: [peer.encode(t) for t in lines]),
             f"{len(lines)} lines, batch call": (None, lambda: peer.encode_batch(lines))}
    rows, results = [], []
    lanes = {}
    for name, pair in works.items():
        for who, f in zip(("emily", "tokenizers"), pair):
            if f:
                lanes[f"{who}: {name}"] = common.timed(f, budget=0.2, most=5)
    got = common.interleave(lanes, args.rounds, args.gap)
    for name in list(works)[:2]:
        a, b = got[f"emily: {name}"], got[f"tokenizers: {name}"]
        if name != "one text":
            batch = got[f"tokenizers: {name}, batch call"]
            b = min(b, batch, key=lambda g: g["median"])
        rate = len(raw) / a["median"] / 1e3
        rows.append([name, common.milliseconds(a["median"]), common.milliseconds(b["median"]),
                     f"{b['median'] / a['median']:.2f}x", f"{rate:.0f} MB/s"])
        results.append({"what": name, "unit": "ms", "got": {"emily": a, "tokenizers": b}, "fastest": "tokenizers",
                        "ratio": b["median"] / a["median"], "share": None})
    common.report(args, "tokenizers", f"Tokenising {len(raw) / 1e6:.2f} MB of English on one thread: milliseconds",
                  ["text", "emily", "tokenizers", "ratio", "emily's rate"], rows, {"results": results}, ["tokenizers"])


main()
