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

# special and added tokens as chats have them; and runs of one kind, where splitters count
CHATS = [
    "<|im_start|>system\nYou are helpful.<|im_end|>\n<|im_start|>user\nWhat's 12+345?<|im_end|>\n<|im_start|>assistant\n"
    "<think>\n\n</think>\n\n", "<|im_start|><|im_end|> <|im_st|im_end|>  <|im_end|>\n\n x", "<tool_call>\n{\"name\": \"f\"}\n</tool_call>",
    "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHi there<|eot_id|> <|eot_id|>\t<|eot_id|>",
    "<start_of_turn>user\nhi there<end_of_turn>\n<start_of_turn>model\n\n\n\n", "<|user|>\n\n hello<|end|>  \n<|assistant|> \u3000x",
    "<|startoftranscript|><|en|><|0.00|> And so<|2.50|><|2.50|> my fellow", "a [MASK]b [MASK] [MASK][SEP]  [SEP] c", "<s>[INST] a</s> <s>",
    "at |||IP_ADDRESS||| and |||EMAIL_ADDRESS|||.", "a  b   c    d     e        f                 g",
]
RUNS = [
    "I'LL we'Ll 'Tis isn't ISN'T'S it\u2019s o'clock' ' 's' \u017ft'\u017f'\u017fe 'RE're'Ve 'v 'l", "1 12 123 1234 12345 123456 1234567890123 1.5e-10 0x1F",
    "\u0663\u0664\u0665\u0666 \u0967\u0968\u0969\u096a \uff11\uff12 \u00bd\u00be \u2167\u00b2\u2460 3\u4e09", " \t \n\n  \r\n \u00a0\u2003x   \n   y\t\t\tz  ", "a   ", "a \n", "\n a",
    " \n\n \n  b", "x \u2028 y\u0085\u0085 z", "\r\r\n\r", "if x:\n        return [y for y in z]\n\n\n    # so\n", "  'a  'll   's", "...\n\n...\r\n?!\n x",
    "\U0001f469\u200d\u2764\ufe0f\u200d\U0001f48b\u200d\U0001f468 \U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f\U0001f1e9\U0001f1ea\U0001f1e9"
    "\U0001f468\U0001f3ff\u200d\U0001f9b1 1\ufe0f\u20e3", "\u200f\u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd \u05e2\u05b2\u05dc\u05b5\u05d9\u05db\u05b6\u05dd\u200e \u0645\u064e\u0631\u0652\u062d\u064e\u0628\u064b\u0627 \u0628\u0650\u0643\u064f\u0645\u0652 \u202babc\u202c",
    "Z\u0351\u036b\u0343a\u0329\u0316\u0323l\u0348g\u034f\u0300o\u0345\u0301\u0301", "\x00", "a\x00b\x00\x00c \x00 ", "\u5f00\u6e90\u6a21\u578b\uff0c\u652f\u6301\u4e2d\u6587\u3002\u4eca\u65e5\u306f\u3001\u4e16\u754c\uff01 \uc548\ub155\ud558\uc138\uc694 abc\u4e2d\u6587def123",
    "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35\u0e0a\u0e32\u0e27\u0e42\u0e25\u0e01 \u17a2\u17b6\u1799\u17bb \u0928\u092e\u0938\u094d\u0924\u0947 \u0ba8\u0bbf", "HTTPServerError camelCase snake_case CONST_NAME \u00c9COLE \u01c5ungla iPhone15Pro",
    "user@example.com https://a.b/c?d=e&f=%20#g ../x/y.tar.gz C:\\dir\\f", "aGVsbG8gd29ybGQ=" * 12, "\u00a1\u00bf\u2014\u2026\u300c\u300d\u3010\u3011/*=+-*/<>>=&&||", "\u2581\u2581a \u2581 b\u2581", "<0x41><0xE4>\u4e2d", "/* x */ // y\n///\n",
]


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
    return out + [text.encode() for text in CHATS + RUNS] + [b"<|im_end|>\xe4\xb8", b"\xf0\x9f<|im_end|>", b"<think>\xff</think>"]


def sweep():
    """Every code point that is not in a large uniform block, 64 to a text, each between letters."""
    cps = [c for c in range(0x32000) if not (0x3500 <= c < 0x9F00 or 0xAD00 <= c < 0xD700 or 0xD800 <= c < 0xE000 or
                                             0xE100 <= c < 0xF800 or 0x17100 <= c < 0x18700 or 0x20100 <= c < 0x2F700)]
    cps += list(range(0xE0000, 0xE0200))
    for i in range(0, len(cps), 64):
        yield "".join(f"a{chr(c)}b " for c in cps[i : i + 64]).encode()
