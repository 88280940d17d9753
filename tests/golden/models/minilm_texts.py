"""500 texts for the real MiniLM: every token count from 3 to 256 ([CLS] and [SEP] included), then a mixture.

Deterministic: a linear congruential generator picks words, nothing else does. A text has one line. Roughly half are
English, the rest other scripts, several scripts in one text, numbers, code, emoji; a few are longer than the model reads.
"""
ENGLISH = """the of and to in a is that it was for on are as with his they at be this from have or by one had not but what
all were when we there can an your which their said if do will each about how up out them then she many some so these
would other into has more her two like him see time could no make than first been its who now people my made over did
down only way find use may water long little very after words called just where most know get through back much before
go good new write our used me man too any day same right look think also around another came come work three word must
because does part even place well such here take why things help put years different away again off went old number
great tell men say small every found still between name should home big give air line set own under read last never us
left end along while might next sound below saw something thought both few those always looked show large often together
asked house don't world going want school important until form food keep children feet land side without boy once animal
life enough took four head above kind began almost live page got earth need far hand high year mother light country
photosynthesis neural network transformer embedding similarity sentence retrieval quantum entanglement mitochondria
economics inflation parliament constitution jurisprudence cryptography eigenvalue thermodynamics antibiotic archaeology
guitar recipe garden bicycle mountain river ocean storm winter harvest engine bridge railway satellite telescope""".split()

SCRIPTS = {
    "german": "Straße über Mädchen schön größer Wissenschaft Übung ältere Häuser für können müssen Fußball".split(),
    "french": "où déjà élève façon être garçon château naïve cœur français août forêt très après".split(),
    "russian": "мир человек время дело жизнь день рука раз работа слово место вопрос лицо земля большой".split(),
    "greek": "κόσμος άνθρωπος χρόνος ζωή ημέρα λόγος νερό γλώσσα θάλασσα ουρανός".split(),
    "chinese": "中国 人民 时间 世界 语言 学习 北京 电脑 科学 今天 天气 很好 我们 喜欢 音乐".split(),
    "japanese": "こんにちは 世界 日本語 です カタカナ ありがとう 東京 勉強 する 猫 が 好き".split(),
    "korean": "안녕하세요 세계 한국어 사람 시간 오늘 날씨 좋은 컴퓨터 공부".split(),
    "arabic": "مرحبا العالم اللغة العربية كتاب مدرسة وقت يوم جميل بيت".split(),
    "hebrew": "שלום עולם ספר בית ילד זמן יום מים שפה".split(),
    "hindi": "नमस्ते दुनिया हिन्दी किताब समय दिन पानी भाषा लोग".split(),
    "thai": "สวัสดี โลก ภาษาไทย หนังสือ เวลา วัน น้ำ".split(),
    "vietnamese": "tiếng Việt người thời gian nước sống được không học đẹp".split(),
    "emoji": "😀 👩‍🚀 🏳️‍🌈 👍🏽 🇩🇪 ❤️ 🚀 ☃ 👨‍👩‍👧‍👦 ✅ 1️⃣".split(),
    "numbers": "3.14159 1,000,000 2024-11-21 50% $19.99 +49-30-1234 0xFF 1e-9 ½ ² №7 10:45".split(),
    "code": "int main(void) { return x[i] += y->z; } #include <stdio.h> fn(&mut self) https://example.org/a?b=c&d=%20 "
            "user@example.org C:\\path\\file.txt foo_bar".split(" "),
    "odd": ["Zürich", "e\u0301le\u0301phant", "ﬁne", "Ⅷ", "ｆｕｌｌ", "a\u00adb", "x\u200by", "…", "“quoted”", "—", "[MASK]",
            "supercalifragilisticexpialidocious", "q" * 120, "İstanbul", "ß", "ǅ"],
}


class Random:
    """Knuth's 64-bit MMIX generator, high bits used."""

    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 33) % n

    def of(self, items):
        return items[self.below(len(items))]


def words(random, kind):
    """An endless stream of words of a kind; commas, full stops and capitals in English."""
    start = True
    while True:
        if kind != "english":
            source = SCRIPTS[kind if kind != "mixed" else random.of(sorted(SCRIPTS))]
            yield random.of(ENGLISH if kind == "mixed" and random.below(3) == 0 else source)
            continue
        word = random.of(ENGLISH)
        end = random.below(12)
        yield (word.capitalize() if start else word) + ("." if end == 0 else "," if end == 1 else "")
        start = end == 0


def text_of(random, kind, tokens, count):
    """A text of at most `tokens` tokens by `count`, as close as whole words allow."""
    text = ""
    for word in words(random, kind):
        longer = (text + " " + word) if text else word
        n = count(longer)
        if n > tokens:
            if random.below(3) or n > tokens + 40:
                word = random.of(["cat", "tea", "sun", ".", "x"])
                longer = (text + " " + word) if text else word
                if count(longer) > tokens:
                    return text or "x"
            else:
                continue
        text = longer
        if count(text) == tokens:
            return text


def make(count):
    """The texts; count(text) is its number of tokens, special ones included, before truncation."""
    random, texts = Random(20241121), [""]
    kinds = ["english"] * 6 + ["mixed"] * 3 + sorted(SCRIPTS)
    for tokens in range(3, 257):
        texts.append(text_of(random, "english" if tokens % 2 else random.of(kinds), tokens, count))
    while len(texts) < 490:
        tokens = 3 + random.below(random.of([12, 40, 120, 254]))
        texts.append(text_of(random, random.of(kinds), tokens, count))
    while len(texts) < 500:
        texts.append(text_of(random, random.of(["english", "mixed"]), 257 + random.below(80), count))
    return texts
