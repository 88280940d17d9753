#!/usr/bin/env python3
"""Writes src/tokenizer/unicode_tables.c: what the `tokenizers` package takes each code point for.

The package mixes several Unicode versions (its categories, its normal forms, its regexes and Rust's own), so no single
version of the standard reproduces it. Every flag below is therefore asked of the package itself, code point by code point.
Needs: tokenizers, perl (ages), libutf8proc.

    python3 unicode_tables.py ../../../src/tokenizer/unicode_tables.c
"""
import ctypes
import subprocess
import sys

import tokenizers
from tokenizers import Regex, normalizers as N, pre_tokenizers as P

CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
utf8proc = ctypes.CDLL("libutf8proc.so.2")


class Property(ctypes.Structure):
    _fields_ = [("category", ctypes.c_short), ("combining_class", ctypes.c_short)]


utf8proc.utf8proc_get_property.restype = ctypes.POINTER(Property)


def present_in(version):
    script = r"""for (0..0x10FFFF) { next if $_>=0xD800 && $_<0xE000; print "$_\n" if chr($_) =~ /\p{Present_In: %s}/ }"""
    script %= version
    out = subprocess.run(["perl", "-e", script], capture_output=True, check=True, text=True).stdout
    return {int(line) for line in out.split()}


def pieces(pre_tokenizer, text):
    return [piece for piece, _ in pre_tokenizer.pre_tokenize_str(text)]


def collect():
    present, before_recent = present_in("9.0"), present_in("14.0")
    punctuation, whitespace = P.Punctuation("removed"), P.WhitespaceSplit()
    word, digits = P.Whitespace(), P.Digits(True)
    letter, number = P.Split(Regex(r"\p{L}"), "removed"), P.Split(Regex(r"\p{N}"), "removed")
    clean, accents = N.BertNormalizer(True, False, False, False), N.BertNormalizer(False, False, True, False)
    marks, lower = N.StripAccents(), N.Lowercase()
    forms = {name: getattr(N, name)() for name in ("NFD", "NFKD", "NFC", "NFKC")}
    seconds = set(range(0x1161, 0x1176)) | set(range(0x11A8, 0x11C3))
    for c in CODE_POINTS:
        text = chr(c)
        parts = forms["NFD"].normalize_str(text)
        if parts != text and forms["NFC"].normalize_str(text) == text:
            seconds.update(map(ord, parts[1:]))
    flags, lowers = {}, {}
    for c in CODE_POINTS:
        text = chr(c)
        ordered = utf8proc.utf8proc_get_property(c)[0].combining_class != 0 and c in present
        lowered = lower.normalize_str(text)
        moves = {name: ordered or form.normalize_str(text) != text for name, form in forms.items()}
        bits = [
            not pieces(punctuation, text),
            clean.normalize_str(text) == "",
            accents.normalize_str(text) == "",
            marks.normalize_str(text) == "",
            pieces(word, "a" + text + "b") == ["a" + text + "b"],
            not pieces(whitespace, text),
            len(pieces(digits, "a" + text)) == 2,
            not pieces(letter, text),
            not pieces(number, text),
            c not in present,
            lowered != text,
            moves["NFD"],
            moves["NFKD"],
            moves["NFC"] or c in seconds,
            moves["NFKC"] or c in seconds,
            c not in before_recent,
        ]
        flags[c] = sum(1 << i for i, bit in enumerate(bits) if bit)
        if lowered != text and len(lowered) == 1:
            lowers[c] = ord(lowered)
    return flags, lowers


def runs_of(flags):
    runs, previous = [], None
    for c in range(0x110000):
        value = flags.get(c, 0)
        if value != previous:
            runs.append((c, value))
            previous = value
    return runs


def lower_runs(lowers):
    """(first, last, step, delta): consecutive upper-case letters `step` apart that move by the same delta."""
    runs = []
    for c in sorted(lowers):
        delta = lowers[c] - c
        if runs and runs[-1][3] == delta:
            first, last, step, _ = runs[-1]
            gap = c - last
            if gap in (1, 2) and (first == last or gap == step):
                runs[-1] = (first, c, gap, delta)
                continue
        runs.append((c, c, 1, delta))
    return runs


def rows(items, form, width=120):
    line = "   "
    for item in items:
        text = " " + form(item) + ","
        if len(line) + len(text) > width:
            yield line
            line = "   "
        line += text
    yield line


def main(path):
    flags, lowers = collect()
    runs, lower = runs_of(flags), lower_runs(lowers)
    blocks = {tuple(flags.get(c, 0) for c in range(b, b + 128)) for b in range(0, 0x110000, 128)}
    assert len(blocks) <= 640, "EM_UC_BLOCKS of unicode.h is too small"
    with open(path, "w", encoding="ascii", newline="\n") as out:
        out.write(
            f"/* Written by tests/golden/tokenizer/unicode_tables.py from tokenizers {tokenizers.__version__}: do not edit.\n"
            " * Flags of unicode.h by code point, as runs {first code point, flags}; lower-case letters as runs\n"
            " * {first, last, step, delta}. */\n"
            "/* clang-format off */\n"
            '#include "tokenizer/unicode.h"\n\n'
            f"const em__uc_run em__uc_runs[] = {{\n"
        )
        out.write("\n".join(rows(runs, lambda r: f"{{{r[0]:#x},{r[1]:#x}}}")))
        out.write("\n};\nconst size_t em__uc_run_count = sizeof em__uc_runs / sizeof em__uc_runs[0];\n\n")
        out.write("const em__uc_lower_run em__uc_lower_runs[] = {\n")
        out.write("\n".join(rows(lower, lambda r: f"{{{r[0]:#x},{r[1]:#x},{r[2]},{r[3]}}}")))
        out.write("\n};\nconst size_t em__uc_lower_run_count = sizeof em__uc_lower_runs / sizeof em__uc_lower_runs[0];\n")
    print(len(blocks), "blocks,", len(runs), "runs,", len(lower), "lower-case runs")


if __name__ == "__main__":
    main(sys.argv[1])
