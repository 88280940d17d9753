#!/usr/bin/env python3
"""Records what the `tokenizers` package makes of the corpus, for each file of configs.py.

Writes into data/: corpus.json (texts in hex), and NAME.json for each tokenizer: the file itself, tokens of the first texts
in full, and CRC-32 of all else (tokens, pairs, truncation with overflow, padding, decoded text, a sweep of code points).
With a directory that holds all-MiniLM-L6-v2's tokenizer.json, records that one, too, but for the file itself. Files that
are in data/ already are recorded as they are, for training is not repeatable: delete one to train it anew.

    python3 record.py [DIRECTORY]    Needs: tokenizers 0.23.
"""
import json
import os
import sys
import zlib
from array import array

from tokenizers import Tokenizer

import configs
import corpus

HERE = os.path.dirname(os.path.abspath(__file__))
FULL = 8
PAIRS = [(3, 4), (0, 3), (4, 0), (12, 7), (9, 36), (40, 41)]
# text, pair (-1: none), max_length, stride, strategy, left
WINDOWS = [(4, -1, 5, 0, "longest_first", False), (4, -1, 8, 2, "longest_first", False), (4, -1, 8, 3, "longest_first", True),
           (12, -1, 2, 0, "longest_first", False), (4, 12, 9, 1, "longest_first", False), (12, 4, 10, 0, "longest_first", True),
           (4, 8, 21, 2, "only_first", False), (8, 4, 21, 1, "only_second", False), (3, -1, 500, 0, "longest_first", False),
           (4, 4, 17, 0, "longest_first", False), (24, 4, 13, 2, "longest_first", False)]
# text, length (0: none), multiple, left
PADS = [(3, 32, 0, False), (3, 30, 8, True), (4, 0, 16, False), (4, 4, 0, True)]


def pack(encoding):
    flags = [t | s << 8 | a << 9 for t, s, a in zip(encoding.type_ids, encoding.special_tokens_mask, encoding.attention_mask)]
    words = array("I", [len(encoding.ids)])
    for i, (start, end), flag in zip(encoding.ids, encoding.offsets, flags):
        words.extend((i, start, end, flag))
    return words.tobytes()


def crc(encoding, seed=0):
    seed = zlib.crc32(pack(encoding), seed)
    for part in encoding.overflowing:
        seed = zlib.crc32(pack(part), seed)
    return seed


def attempt(call):
    """None where the package gives an error, or panics."""
    try:
        return call()
    except BaseException as error:  # pylint: disable=broad-except
        if isinstance(error, KeyboardInterrupt):
            raise
        return None


def decode(text):
    return text.decode("utf-8", "replace")


def record(tokenizer, texts):
    tokenizer.no_padding()
    tokenizer.no_truncation()

    def one(text):
        encoding = tokenizer.encode(decode(text))
        return zlib.crc32(tokenizer.decode(encoding.ids).encode(), crc(encoding))

    def windows(case):
        text, pair, length, stride, strategy, left = case
        def call():
            tokenizer.enable_truncation(length, stride=stride, strategy=strategy, direction="left" if left else "right")
            return crc(tokenizer.encode(decode(texts[text]), None if pair < 0 else decode(texts[pair])))
        value = attempt(call)
        tokenizer.no_truncation()
        return list(case[:4]) + [["longest_first", "only_first", "only_second"].index(strategy), left, value]

    def padded(case):
        text, length, multiple, left = case
        tokenizer.enable_padding(direction="left" if left else "right", pad_id=7, pad_type_id=3, length=length or None,
                                 pad_to_multiple_of=multiple or None)
        value = attempt(lambda: crc(tokenizer.encode(decode(texts[text]))))
        tokenizer.no_padding()
        return list(case) + [value]

    def full(text):
        encoding = attempt(lambda: tokenizer.encode(decode(text)))
        return None if encoding is None else {"ids": encoding.ids, "offsets": [x for pair in encoding.offsets for x in pair],
                             "text": tokenizer.decode(encoding.ids, skip_special_tokens=False)}

    return {
        "full": [full(text) for text in texts[:FULL]],
        "texts": [attempt(lambda text=text: one(text)) for text in texts],
        "bare": [attempt(lambda text=text: crc(tokenizer.encode(decode(text), add_special_tokens=False))) for text in texts],
        "pairs": [[a, b, attempt(lambda: crc(tokenizer.encode(decode(texts[a]), decode(texts[b]))))] for a, b in PAIRS],
        "windows": [windows(case) for case in WINDOWS],
        "padded": [padded(case) for case in PADS],
        "sweep": [attempt(lambda text=text: one(text)) for text in corpus.sweep()],
    }


def merged(values):
    """Sweeps by 32 texts: one CRC of their CRCs, an error counting as 0."""
    return [zlib.crc32(array("I", [v or 0 for v in values[i : i + 32]]).tobytes()) for i in range(0, len(values), 32)]


def write(name, data):
    with open(os.path.join(HERE, "data", name + ".json"), "w", encoding="utf-8", newline="\n") as out:
        json.dump(data, out, ensure_ascii=False, separators=(",", ":"))
        out.write("\n")


def kept(name):
    """The file that was recorded before, if there is one."""
    try:
        with open(os.path.join(HERE, "data", name + ".json"), encoding="utf-8") as source:
            return json.load(source)["tokenizer"]
    except FileNotFoundError:
        return None


def main(directory=None):
    os.makedirs(os.path.join(HERE, "data"), exist_ok=True)
    texts = corpus.texts()
    write("corpus", {"texts": [text.hex() for text in texts], "sweep": "see corpus.py"})
    files = [(name, kept(name) or data) for name, data in configs.all_files()]
    if directory:
        with open(os.path.join(directory, "tokenizer.json"), encoding="utf-8") as source:
            files.append(("minilm", json.load(source)))
    for name, data in files:
        result = record(Tokenizer.from_str(json.dumps(data)), texts)
        result["sweep"] = merged(result["sweep"])
        write(name, {**({} if name == "minilm" else {"tokenizer": data}), **result})
        print(name, sum(v is None for v in result["texts"]), "errors")


if __name__ == "__main__":
    main(*sys.argv[1:])
