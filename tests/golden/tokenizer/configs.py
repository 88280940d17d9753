"""The tokenizer files of the golden tests: small vocabularies, trained here over generated text, one for each way in which
real checkpoints combine the parts."""
import base64
import json
import random
import struct

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

GPT2_LIKE = r"""(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""
QWEN = GPT2_LIKE.replace("{1,3}", "")
LOWER, UPPER = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]", r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
TEKKEN = (rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|"
          r"\s*[\r\n]+|\s+(?!\S)|\s+")
CONTRACTED = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
O200K = (rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+{CONTRACTED}|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*{CONTRACTED}|\p{{N}}{{1,3}}|"
         r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
DEEPSEEK = [r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+",
            r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|"
            r"\s*[\r\n]+|\s+(?!\S)|\s+"]
WORDS = (
    "the of and to in that is was he for it with as his on be at by this had not are but from or have an they which one "
    "you were her all she there would their we him been has when who will more no if out so said what up its about into "
    "than them can only other new some could time these two may then do first any my now such like our over man me even "
    "most made after also did many before must through back years where much your way well down should because each just "
    "people how too little state good very make world still own see men work long get here between both life being under "
    "don't it's we're I've I'll he'd 1999 2024 3.14 100,000 walking talked runner unhappiness internationalization"
).split()
OTHER = [
    "El veloz murciélago hindú comía feliz cardillo y kiwi.", "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.",
    "Съешь же ещё этих мягких французских булок, да выпей чаю.", "Ξεσκεπάζω τὴν ψυχοφθόρα βδελυγμία.",
    "いろはにほへと ちりぬるを", "키스의 고유조건은 입술끼리 만나야 하고", "天地玄黃 宇宙洪荒 日月盈昃", "نص حكيم له سر قاطع وذو شأن عظيم",
    "דג סקרן שט בים מאוכזב ולפתע מצא חברה", "ऋषियों को सताने वाले दुष्ट राक्षसों", "Pijamalı hasta yağız şoföre çabucak güvendi İstanbul'da.",
    "😀 👨‍👩‍👧 🇫🇷 ❤️ ✊🏽", "x = f(a_1, b-2) * {c: [d]};  // e != 'g'\n\treturn \"h\";",
]


def corpus():
    rng = random.Random(20)
    for _ in range(600):
        words = [rng.choice(WORDS) for _ in range(rng.randrange(4, 16))]
        if rng.random() < 0.5:
            words[0] = words[0].capitalize()
        yield " ".join(words) + rng.choice([".", "!", "?", ", ...", ";", " -- (so)", ""])
    for line in OTHER * 4:
        yield line


def train(tokenizer, trainer):
    tokenizer.train_from_iterator(list(corpus()), trainer)
    return tokenizer


def wordpiece(size=700, special=("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"), **model):
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]", **model))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    prefix = model.get("continuing_subword_prefix", "##")
    tokenizer.decoder = decoders.WordPiece(prefix=prefix)
    return train(tokenizer, trainers.WordPieceTrainer(vocab_size=size, special_tokens=list(special), show_progress=False,
                                                      continuing_subword_prefix=prefix))


def byte_bpe(size=700, special=("<|endoftext|>",), pre=None, normalizer=None, **model):
    tokenizer = Tokenizer(models.BPE(**model))
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre or pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return train(tokenizer, trainers.BpeTrainer(vocab_size=size, special_tokens=list(special), show_progress=False,
                                                initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))


def unigram(size=500, special=("<s>", "<pad>", "</s>", "<unk>"), normalizer=None, pre=None):
    tokenizer = Tokenizer(models.Unigram())
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre or pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return train(tokenizer, trainers.UnigramTrainer(vocab_size=size, special_tokens=list(special), unk_token="<unk>",
                                                    show_progress=False))


def edited(tokenizer, edit):
    data = json.loads(tokenizer.to_str())
    edit(data)
    return data


def charsmap():
    """A small SentencePiece character map: a double-array trie, built by trying places, over these replacements."""
    rules = {"ﬁ": "fi", "Ａ": "A", "①": "1", "\u00a0": " ", "é": "e\u0301", "e\u0301": "é", "\u200b": "", "ẞ": "SS", "㍿": "株式会社",
             "\r\n": "\n", "\u0301": ""}
    pool, places = bytearray(), {}
    for key, value in rules.items():
        places[key.encode()] = len(pool)
        pool += value.encode() + b"\0"
    tree = {}
    for key, place in places.items():
        node = tree
        for byte in key:
            node = node.setdefault(byte, {})
        node[None] = place
    units, used = [0] * 4096, {0}

    def put(index, node):
        labels = [b for b in node if b is not None]
        base = 1
        while any((index ^ base ^ b) in used for b in labels + [0]):
            base += 1
        assert base < 1 << 21
        units[index] |= base << 10 | (1 << 8 if None in node else 0)
        leaf = index ^ base
        used.add(leaf)
        if None in node:
            units[leaf] = 1 << 31 | node[None]
        for b in labels:
            used.add(leaf ^ b)
            units[leaf ^ b] = b
        for b in labels:
            put(leaf ^ b, node[b])

    put(0, tree)
    trie = b"".join(struct.pack("<I", unit) for unit in units[: (max(used) | 255) + 1])  # whole blocks
    return base64.b64encode(struct.pack("<I", len(trie)) + trie + bytes(pool)).decode()


def bert_files():
    uncased = wordpiece()
    ids = {t: uncased.token_to_id(t) for t in ("[CLS]", "[SEP]")}
    uncased.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=list(ids.items()))
    yield "bert_uncased", json.loads(uncased.to_str())
    uncased.normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=False)
    uncased.post_processor = processors.BertProcessing(("[SEP]", ids["[SEP]"]), ("[CLS]", ids["[CLS]"]))
    yield "bert_cased", json.loads(uncased.to_str())
    uncased.normalizer = normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=False, lowercase=True,
                                                    strip_accents=False)
    yield "bert_unclean", json.loads(uncased.to_str())
    uncased.normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.Lowercase(), normalizers.StripAccents()])
    uncased.pre_tokenizer = pre_tokenizers.Whitespace()
    yield "wordpiece_sequence", edited(uncased, lambda d: d["model"].update(max_input_chars_per_word=12))
    uncased.normalizer = normalizers.Sequence([normalizers.Strip(), normalizers.NFKC()])
    uncased.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation("contiguous"),
                                                     pre_tokenizers.Digits(individual_digits=True)])
    uncased.post_processor = None
    uncased.decoder = None
    yield "wordpiece_nfkc", json.loads(uncased.to_str())


def splits(*regexes):
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(regex), "isolated") for regex in regexes] +
                                   [pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)])


def chat_files():
    """Byte-level vocabularies of models that generate, with the tokens that their templates use."""
    chat = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    qwen = byte_bpe(special=chat, pre=splits(QWEN), normalizer=normalizers.NFC())
    qwen.post_processor = processors.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)
    qwen.add_tokens([AddedToken(t, normalized=False) for t in ("<think>", "</think>", "<tool_call>", "</tool_call>")])
    yield "qwen3", json.loads(qwen.to_str())
    smollm = byte_bpe(special=chat, pre=pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                                                 pre_tokenizers.ByteLevel(add_prefix_space=False)]))
    yield "smollm", json.loads(smollm.to_str())
    whisper = byte_bpe(special=("<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|notimestamps|>"))
    whisper.add_tokens([AddedToken(f"<|{i / 50:.2f}|>", normalized=False) for i in range(151)])
    ids = [(t, whisper.token_to_id(t)) for t in ("<|startoftranscript|>", "<|endoftext|>")]
    whisper.post_processor = processors.TemplateProcessing(
        single="<|startoftranscript|> $A <|endoftext|>", pair="<|startoftranscript|> $A $B <|endoftext|>", special_tokens=ids)
    yield "whisper", json.loads(whisper.to_str())
    modern = byte_bpe(special=("[UNK]", "[CLS]", "[SEP]", "[PAD]"), normalizer=normalizers.NFC())
    modern.add_tokens(["|||IP_ADDRESS|||", "|||EMAIL_ADDRESS|||"] + [" " * n for n in range(24, 1, -1)])
    modern.add_special_tokens([AddedToken("[MASK]", lstrip=True, special=True)])
    ids = [(t, modern.token_to_id(t)) for t in ("[CLS]", "[SEP]")]
    modern.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=ids)
    yield "modernbert", json.loads(modern.to_str())
    for name, regexes in (("tekken", [TEKKEN]), ("o200k", [O200K]), ("deepseek", DEEPSEEK)):
        yield name, json.loads(byte_bpe(special=chat, pre=splits(*regexes), ignore_merges=name == "tekken").to_str())


def byte_files():
    gpt2 = byte_bpe()
    gpt2.post_processor = processors.ByteLevel(trim_offsets=False)
    yield "gpt2", json.loads(gpt2.to_str())
    roberta = byte_bpe(special=("<s>", "<pad>", "</s>", "<unk>"), pre=pre_tokenizers.ByteLevel(add_prefix_space=True))
    roberta.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True)])
    roberta.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=True)
    yield "roberta", json.loads(roberta.to_str())
    roberta.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=True, add_prefix_space=False),
        processors.TemplateProcessing(single="<s> $A </s>", pair="<s> $A </s> $B:0 </s>:2",
                                      special_tokens=[("<s>", 0), ("</s>", 2)])])
    yield "roberta_template", json.loads(roberta.to_str())
    for name, regex in (("llama3", GPT2_LIKE), ("qwen2", QWEN)):
        pre = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(regex), "isolated"),
                                       pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
        tokenizer = byte_bpe(special=("<|begin_of_text|>", "<|eot_id|>"), pre=pre, ignore_merges=name == "llama3",
                             normalizer=normalizers.NFC() if name == "qwen2" else None)
        tokenizer.post_processor = processors.Sequence([
            processors.ByteLevel(trim_offsets=name == "qwen2"),
            processors.TemplateProcessing(single="<|begin_of_text|> $A", pair="<|begin_of_text|> $A <|begin_of_text|>:1 $B:1",
                                          special_tokens=[("<|begin_of_text|>", 0)])])
        yield name, json.loads(tokenizer.to_str())
    plain = byte_bpe(pre=pre_tokenizers.Sequence([pre_tokenizers.Digits(True), pre_tokenizers.Punctuation("merged_with_previous"),
                                                  pre_tokenizers.ByteLevel(add_prefix_space=True)]))
    plain.add_tokens([AddedToken("walking", single_word=True), AddedToken("Zwölf", normalized=False, rstrip=True),
                      AddedToken("日月", lstrip=True, rstrip=True)])
    yield "bytes_digits", json.loads(plain.to_str())
    yield from chat_files()
    normal = byte_bpe(pre=pre_tokenizers.Split(Regex(r"\s?\S+|\s+"), "isolated"))
    normal.normalizer = normalizers.ByteLevel()
    normal.pre_tokenizer = pre_tokenizers.Split(Regex("Ġ"), "merged_with_next")
    normal.add_tokens(["that 日"])
    yield "bytes_normalizer", json.loads(normal.to_str())


def bpe_files():
    def llama(legacy):
        tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                               decoders.Strip(" ", 1, 0)])
        special = ["<unk>", "<s>", "</s>"] + ["<0x%02X>" % b for b in range(256)]
        tokenizer.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
        train(tokenizer, trainers.BpeTrainer(vocab_size=900, special_tokens=special, show_progress=False, limit_alphabet=90))
        tokenizer.pre_tokenizer = None
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 1)])
        data = json.loads(tokenizer.to_str())
        data["added_tokens"] = data["added_tokens"][:3]
        if legacy:
            data["normalizer"] = None
            data["pre_tokenizer"] = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False}
            data["model"]["merges"] = [" ".join(m) for m in data["model"]["merges"]]
        return data

    def added(content, **options):
        return {"id": 0, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
                "special": True, **options}

    def numbered(data, tokens):
        known = data["model"]["vocab"]
        ids = iter(range(len(known), len(known) + len(tokens)))
        data["added_tokens"] += [{**t, "id": known[t["content"]] if t["content"] in known else next(ids)} for t in tokens]
        return data

    def gemma():
        data = llama(False)
        data["normalizer"] = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
        data["pre_tokenizer"] = {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}
        data["decoder"]["decoders"].pop()
        return numbered(data, [added("<start_of_turn>"), added("<end_of_turn>")] +
                        [added("\n" * n, special=False) for n in range(1, 6)] + [added("▁" * n, special=False) for n in range(2, 6)])

    yield "llama2", llama(False)
    yield "gemma", gemma()
    yield "phi3", numbered(llama(False), [added(t, rstrip=True) for t in ("<|user|>", "<|end|>", "<|assistant|>")] +
                           [added("[INST]", normalized=True, special=False), added("there", single_word=True, lstrip=True)])
    yield "llama2_legacy", llama(True)
    suffix = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    suffix.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    suffix.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"), "removed", invert=True)])
    suffix.decoder = decoders.BPEDecoder(suffix="</w>")
    train(suffix, trainers.BpeTrainer(vocab_size=500, special_tokens=["<unk>"], end_of_word_suffix="</w>", show_progress=False,
                                      limit_alphabet=80))
    yield "clip_suffix", json.loads(suffix.to_str())
    prefix = Tokenizer(models.BPE(unk_token="<unk>", continuing_subword_prefix="##", fuse_unk=False))
    prefix.pre_tokenizer = pre_tokenizers.CharDelimiterSplit(" ")
    train(prefix, trainers.BpeTrainer(vocab_size=500, special_tokens=["<unk>"], continuing_subword_prefix="##",
                                      show_progress=False, limit_alphabet=60))
    yield "bpe_prefix", json.loads(prefix.to_str())
    yield "bpe_no_unk", edited(prefix, lambda d: d["model"].update(unk_token=None))


def unigram_files():
    xlm = unigram()
    xlm.post_processor = processors.TemplateProcessing(single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>",
                                                       special_tokens=[("<s>", 0), ("</s>", 2)])
    yield "xlmr_plain", json.loads(xlm.to_str())

    def mapped(data):
        data["normalizer"] = {"type": "Sequence", "normalizers": [
            {"type": "Precompiled", "precompiled_charsmap": charsmap()},
            {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}]}
        data["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [
            {"type": "WhitespaceSplit"}, {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}]}
    yield "e5_precompiled", edited(xlm, mapped)
    never = unigram(normalizer=normalizers.Sequence([normalizers.Nmt(), normalizers.NFKD(), normalizers.Strip(left=True, right=False)]),
                    pre=pre_tokenizers.Metaspace(prepend_scheme="never"))
    yield "unigram_never", json.loads(never.to_str())

    def fall_back(data):
        data["model"]["byte_fallback"] = True
        data["model"]["vocab"] += [["<0x%02X>" % b, -20.0] for b in range(256)]
        data["pre_tokenizer"] = None
        data["normalizer"] = None
        data["decoder"] = {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, data["decoder"]]}
    yield "unigram_bytes", edited(never, fall_back)


def small_files():
    vocab = {w: i for i, w in enumerate(["[UNK]", "[PAD]"] + sorted({x.lower() for x in WORDS} | set("0123456789.,!?'\"")))}
    level = Tokenizer(models.WordLevel(vocab, unk_token="[UNK]"))
    level.normalizer = normalizers.Lowercase()
    for name, pre in (("whitespace", pre_tokenizers.Whitespace()),
                      ("punctuation", pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation("removed")])),
                      ("digits", pre_tokenizers.Sequence([pre_tokenizers.Digits(False), pre_tokenizers.WhitespaceSplit()])),
                      ("lengths", pre_tokenizers.FixedLength(3))):
        level.pre_tokenizer = pre
        yield "level_" + name, json.loads(level.to_str())
    for behavior in ("removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"):
        for invert in (False, True):
            level.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s,]|\d+"), behavior, invert)
            yield f"split_{behavior}{'_invert' if invert else ''}", json.loads(level.to_str())
    level.pre_tokenizer = pre_tokenizers.Split("th", "merged_with_previous")
    level.decoder = decoders.CTC(pad_token="[PAD]", word_delimiter_token="the")
    yield "split_string", json.loads(level.to_str())
    level.pre_tokenizer = pre_tokenizers.Split(Regex(r"(?i:the)|[^\S\r\n]+|\w+(?=\W)|(?<!\w)\d{2,}|[\p{Lu}\p{M}]+|\u00e9|\P{L}"), "isolated")
    yield "split_regex", json.loads(level.to_str())


def all_files():
    for group in (bert_files, byte_files, bpe_files, unigram_files, small_files):
        yield from group()
