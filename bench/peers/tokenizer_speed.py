"""Tokenizers on one thread: emily against the `tokenizers` package.

WordPiece (all-MiniLM-L6-v2) over 1 MB of English, whole and line by line; byte-level BPE of 151,646 entries in the shapes of
Qwen and Llama 3 (big_tokenizers.py makes them) over English and over code with Chinese, Japanese and Korean, and the
opening of their files. Both are libraries in this process; both give ids and offsets. Every text's ids and what they
decode to are compared before anything is timed.
"""
import ctypes
import os
import sys
import time

import common

args = common.arguments(__doc__, bytes=(1_000_000, "of text"))
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import big_tokenizers
import tokenizers

sys.path.insert(0, os.path.join(common.ROOT, "tests/golden/models"))
import minilm_texts


class Encoding(ctypes.Structure):
    """The head of em_encoding, and room for the rest."""
    _fields_ = [("length", ctypes.c_size_t), ("ids", ctypes.POINTER(ctypes.c_int32)), ("rest", ctypes.c_byte * 240)]


class Text(ctypes.Structure):
    """em_text."""
    _fields_ = [("data", ctypes.c_void_p), ("length", ctypes.c_size_t), ("capacity", ctypes.c_size_t)]


class Emily:
    def __init__(self, path):
        self.lib, self.handle, self.out, self.text = common.library(args), ctypes.c_void_p(), Encoding(), Text()
        if self.lib.em_tokenizer_open(path.encode(), ctypes.byref(self.handle)):
            sys.exit(self.lib.em_last_error().decode())

    def __del__(self):
        self.lib.em_tokenizer_free(self.handle)

    def encode(self, raw):
        if self.lib.em_tokenizer_encode(self.handle, raw, ctypes.c_size_t(len(raw)), None, ctypes.byref(self.out)):
            sys.exit(self.lib.em_last_error().decode())
        return self.out

    def ids(self, raw):
        out = self.encode(raw)
        return out.ids[:out.length]

    def decode(self, ids, count):
        if self.lib.em_tokenizer_decode(self.handle, ids, ctypes.c_size_t(count), False, ctypes.byref(self.text)):
            sys.exit(self.lib.em_last_error().decode())
        return ctypes.string_at(self.text.data, self.text.length)


def english(size):
    random, lines, total = minilm_texts.Random(3), [], 0
    while total < size:
        words, line = minilm_texts.words(random, "english"), ""
        for _ in range(8 + random.below(30)):
            line += (" " if line else "") + next(words)
        lines.append(line)
        total += len(line) + 1
    return lines


def once(function):
    """A lane of one run: these are long."""
    def lane():
        start = time.perf_counter()
        function()
        return [(time.perf_counter() - start) * 1e3]
    return lane


def row(what, ours, theirs, size=None):
    """A row of the table, and the record of it."""
    rate = f"{size / ours['median'] / 1e3:.0f} MB/s" if size else ""
    ratio = theirs["median"] / ours["median"]
    return ([what, common.milliseconds(ours["median"]), common.milliseconds(theirs["median"]), f"{ratio:.2f}x", rate],
            {"what": what, "unit": "ms", "got": {"emily": ours, "tokenizers": theirs}, "fastest": "tokenizers",
             "ratio": ratio, "share": None})


def wordpiece():
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
        yield row(f"MiniLM, English: {name}", a, b, len(raw))


def byte_level():
    texts = big_tokenizers.texts(args.bytes)
    for name, path in big_tokenizers.make(os.path.join(args.out, "tokenizers")).items():
        lanes = {"emily: open": once(lambda path=path: Emily(path)),
                 "tokenizers: open": once(lambda path=path: tokenizers.Tokenizer.from_file(path))}
        got = common.interleave(lanes, args.rounds, args.gap)
        size = os.path.getsize(path)
        yield row(f"{name}.json, {size / 1e6:.1f} MB: open", got["emily: open"], got["tokenizers: open"], size)
        if name == "qwen_lines": # the same tokenizer again
            continue
        peer, ours = tokenizers.Tokenizer.from_file(path), Emily(path)
        for kind, text in texts.items():
            raw, want = text.encode(), peer.encode(text).ids
            if ours.ids(raw) != want:
                sys.exit(f"{name}: ids differ for the text of {kind}")
            ids = (ctypes.c_int32 * len(want))(*want)
            if ours.decode(ids, len(want)) != peer.decode(want, skip_special_tokens=False).encode():
                sys.exit(f"{name}: the text of {kind} decodes differently")
            works = {"encode": (lambda: ours.encode(raw), lambda: peer.encode(text)),
                     "decode": (lambda: ours.decode(ids, len(want)), lambda: peer.decode(want, skip_special_tokens=False))}
            lanes = {f"{who}: {what}": once(f) for what, pair in works.items()
                     for who, f in zip(("emily", "tokenizers"), pair)}
            got = common.interleave(lanes, args.rounds, args.gap)
            for what in works:
                yield row(f"{name}, {kind}: {what}", got[f"emily: {what}"], got[f"tokenizers: {what}"], len(raw))


def main():
    rows, results = zip(*wordpiece(), *byte_level())
    common.report(args, "tokenizers", f"Tokenising {args.bytes / 1e6:.2f} MB on one thread: milliseconds",
                  ["work", "emily", "tokenizers", "ratio", "emily's rate"], list(rows), {"results": list(results)}, ["tokenizers"])


main()
