"""Tokenizer files as large as published ones, and texts to try them on: made here, for no hub is asked.

A byte-level BPE of 151,643 entries is trained once over text of this machine (Python's library and packages, headers,
documentation, translations) with Qwen's expression; the other files are that vocabulary in other published shapes. What
comes out depends on the machine, so it is for speed, not for golden ids. A minute or two; kept in OUT/tokenizers.
"""
import gettext
import glob
import json
import os
import random
import sysconfig

CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
MODERN = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN, LLAMA3 = MODERN % "", MODERN % "{1,3}"
ENTRIES = 151_643
LANGUAGES = "zh_CN zh_TW ja ko ru fr de es ar hi uk el vi th he pt_BR it pl tr sv".split()
ASIAN = "zh_CN ja ko zh_TW".split()


def files(roots, suffixes, size, seed):
    """Texts of files below the roots, in a random order, about `size` characters in all."""
    found = sorted(os.path.join(folder, name) for root in roots for folder, _, names in os.walk(root) for name in names
                   if name.endswith(suffixes))
    random.Random(seed).shuffle(found)
    for path in found:
        try:
            with open(path, encoding="utf-8") as f:
                text = f.read(100_000)
        except (OSError, UnicodeError):
            continue
        yield text
        size -= len(text)
        if size <= 0:
            return


def translations(language, size):
    for path in sorted(glob.glob(f"/usr/share/locale/{language}/LC_MESSAGES/*.mo")):
        try:
            with open(path, "rb") as f:
                strings = gettext.GNUTranslations(f)._catalog  # pylint: disable=protected-access
        except (OSError, ValueError, UnicodeError):
            continue
        text = "\n".join(v for k, v in strings.items() if k and isinstance(v, str))
        yield text
        size -= len(text)
        if size <= 0:
            return


def python_files(size, seed):
    paths = sysconfig.get_paths()
    return files([paths["stdlib"], paths["purelib"]], (".py",), size, seed)


def prose_files(size, seed):
    paths = sysconfig.get_paths()
    return files(["/usr/share/doc", "/usr/share/perl", "/usr/share/cmake", paths["stdlib"], paths["purelib"]],
                 (".txt", ".md", ".rst", ".pod", "NEWS", "README", "copyright"), size, seed)


def training_text():
    yield from python_files(22_000_000, 1)
    yield from prose_files(10_000_000, 2)
    yield from files(["/usr/include"], (".h", ".hpp"), 4_000_000, 3)
    for language in LANGUAGES:
        yield from translations(language, 900_000)


def joined(parts, size):
    """The parts as one text of `size` bytes, cut at a character."""
    return "\n".join(parts).encode()[:size].decode("utf-8", "ignore")


def texts(size):
    """English prose, and a mixture of Python with Chinese, Japanese and Korean."""
    code, asian = list(python_files(size, 11)), [t for language in ASIAN for t in translations(language, size // 8)]
    random.Random(12).shuffle(code)
    mixed = []
    for i in range(0, 400):
        mixed.append(code[i % len(code)][:2500])
        mixed.append(asian[i % len(asian)][(i // len(asian)) * 700:][:700])
    return {"English": joined(prose_files(2 * size, 13), size), "code and CJK": joined(mixed, size)}


def train():
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(QWEN), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.train_from_iterator(training_text(), trainers.BpeTrainer(
        vocab_size=ENTRIES, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    return json.loads(tokenizer.to_str())


def write(path, data):
    with open(path, "w", encoding="utf-8") as out:
        json.dump(data, out, ensure_ascii=False, indent=2)


def make(folder):
    """Paths of the files by name: Qwen with merges as pairs and as lines, and Llama 3."""
    paths = {name: os.path.join(folder, name + ".json") for name in ("qwen", "qwen_lines", "llama3")}
    if all(os.path.exists(path) for path in paths.values()):
        return paths
    os.makedirs(folder, exist_ok=True)
    data = train()
    write(paths["qwen"], data)
    merges = data["model"]["merges"]
    data["model"]["merges"] = [" ".join(pair) for pair in merges]
    write(paths["qwen_lines"], data)
    data["model"].update(merges=merges, ignore_merges=True)
    data["normalizer"] = None
    data["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = LLAMA3
    data["post_processor"] = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True}
    write(paths["llama3"], data)
    return paths


if __name__ == "__main__":
    import sys
    for made in make(sys.argv[1]).values():
        print(made, os.path.getsize(made))
    for what, value in texts(1_000_000).items():
        with open(os.path.join(sys.argv[1], what.replace(" ", "_") + ".txt"), "w", encoding="utf-8", newline="") as f:
            f.write(value)
