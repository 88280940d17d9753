"""Texts that tokenizers stumble over, as bytes: every script and plane, marks, emoji, controls, ill-formed UTF-8."""
import random

SPECIAL = ["[CLS]", "[MASK]", "<mask>", "</s>", "<s>", "<|endoftext|>", "<|begin_of_text|>", "[UNK]", "<unk>", "walking", "Zwölf",
           "日月", "that 日", "[PAD]"]
PARTS = [
    "a", "b", "the ", "Hello ", "ing", " ", "  ", "   \t", "\n", "\r\n", "\n\n ", "\t", "é", "É", "e\u0301", "E\u0323\u0307",
    "\u0307\u0323", "İ", "ı", "I", "ß", "ẞ", "ﬁ", "ﬃ", "Ω", "Σ", "ΣΑΣ", "ς", "中", "文字", "豈", "𠀀", "한", "각", "\u1100\u1161",
    "\u11a8", "가\u11a8", "が", "か\u3099", "ｶﾞ", "😀", "👨\u200d👩\u200d👧", "👍🏽", "🇫🇷", "❤\ufe0f", "1\ufe0f\u20e3", "\u200b", "\u00ad",
    "\x00", "\x07", "\x1b[0m", "\x7f", "\u0085", "\u2028", "\u2029", "\u3000", "\u00a0", "\u202f", "\u1680", "\u180e", "\ufeff",
    "、", "。", "！", "¿", "‽", "…", "—", "$", "^", "`", "~", "'s", "'RE", "'ſ", " don't", " I'll", "123", "1234567", "4", "５", "٣",
    "²", "Ⅷ", "½", "⓵", "שלום", "مرحبا", "\u202eabc\u202c", "ا\u064b\u0651", "ﷺ", "क्षि", "ไทย", "ཀྵ", "\ufffd", "\U0001d165",
    "\U0001d160", "\u302e", "𐐀", "\u0344", "\u0f73", "\u0f75", "\u212b", "\u2126", "Ａ", "①", "㍿", "\U000e0001", "\ue000",
    "\U0010ffff", "\ufdd0", "ǅ", "ŉ", "K", "ſ", "\u0378", "\U0001e030", "\U00010d40", "\U00016ea0", "▁", "▁the", "Ġ", "Ċ", "##",
    "<0x41>", "_", "-", "--", "...", "!?", "http://a.b/c?d=e&f", "f(x)={[y]};", "Ǆ", "ᾳ", "ŒUVRE", "naïve", "Ærøskøbing",
]
BAD = [b"\x80", b"\xbf", b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"\xed\xa0\x80", b"\xed\xb0\x80", b"\xed\xa0\xbd\xed\xb8\x80",
       b"\xc0\xaf", b"\xff", b"\xfe", b"\xf4\x90\x80\x80", b"\xe0\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xe2\x28\xa1"]


def texts():
    plain = [
        "", " ", "a", "Hello, world!", "The quick brown fox, isn't it? I've 12,345.67 reasons...",
        "  leading and trailing  ", "walking that walking walkings 日月 日月", "a [MASK] b<mask>c <s>d</s> [CLS]",
        "Unhappiness internationalization talked runner", "İstanbul'da ΌΣΟΣ ﬁn ǅ", "\u0301start", "e\u0301\u0323 \u0344\u0f73",
        "日月盈昃 天地 키스의 고유조건은", "supercalifragilisticexpialidocious" * 4, "x" * 300, "é" * 120, "あ" * 101, "ab" * 50,
        "中" * 60, " " * 40, "\n" * 10 + "a", "a" + "\u0301" * 60, "." * 50, "1" * 40, "'s't're'm'll'd've", "don't DON'T 'S 'Ll",
        "   x", " \n x\r\n\r\ny", "\t\ttabs\tand\x0bmore\x0c", "a\u00a0b\u3000c\u2003d", "\x00\x01a\x7fb\x9fc",
    ]
    out = [text.encode() for text in plain]
    out += [b"caf\xc3", b"\xe2\x82 euro \xe2\x82\xac", b"\xf0\x9f\x98 face \xf0\x9f\x98\x80", b"ok\xff\xfeok", b"\xed\xa0\x80 surrogates \xed\xb0\x80"]
    rng = random.Random(7)
    for _ in range(130):
        text = b""
        for _ in range(rng.choice([2, 3, 5, 8, 13, 21])):
            kind = rng.random()
            if kind < 0.70:
                text += rng.choice(PARTS).encode()
            elif kind < 0.76:
                text += rng.choice(BAD)
            elif kind < 0.84:
                text += rng.choice(["", " "]).encode() + rng.choice(SPECIAL).encode() + rng.choice(["", " ", "x"]).encode()
            elif kind < 0.92:
                c = rng.randrange(rng.choice([0x250, 0x3000, 0x10000, 0x110000]))
                text += chr(c).encode() if not 0xD800 <= c < 0xE000 else b"?"
            else:
                text += bytes(rng.choice(b"abcdefghijklmnopqrstuvwxyzABC 019.,") for _ in range(rng.randrange(1, 14)))
        out.append(text)
    return out


def sweep():
    """Every code point that is not in a large uniform block, 64 to a text, each between letters."""
    cps = [c for c in range(0x32000) if not (0x3500 <= c < 0x9F00 or 0xAD00 <= c < 0xD700 or 0xD800 <= c < 0xE000 or
                                             0xE100 <= c < 0xF800 or 0x17100 <= c < 0x18700 or 0x20100 <= c < 0x2F700)]
    cps += list(range(0xE0000, 0xE0200))
    for i in range(0, len(cps), 64):
        yield "".join(f"a{chr(c)}b " for c in cps[i : i + 64]).encode()
