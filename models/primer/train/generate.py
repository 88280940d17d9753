"""Conversations for Primer, written by rule: what is asked, and the one answer that is right.

    generate.py 20              prints 20 conversations
    generate.py --held-out FILE writes the questions that measure the model: kind, question and answer by tabs

Everything follows from a seed: Conversation(random.Random(seed)) makes one conversation, turn by turn. With
held_out=True it asks what training never saw: pairs of numbers from the tenth that `held_out_pair` keeps back (in
either order), and the words, names, places and questions of facts.HELD_OUT_*. Days, months and capitals are closed
lists: all of them are taught.
"""
import random
import re
import sys

import facts as F

KINDS = {"sums": 46, "backwards": 17, "spelling": 4, "calendar": 11, "capitals": 12, "talk": 6, "names": 4,
         "unknown": 15}
# The words of the sentences are spelled too: the vocabulary has them whole, and the model has to know their letters.
SENTENCES = (F.SUM, F.BACKWARDS, F.DAY_AFTER, F.MONTH_LENGTH, F.CAPITAL_OF, F.COUNTRY_OF, F.UNKNOWN, F.SYSTEM,
             F.TALK, F.CALENDAR)
WORDS = sorted(set(F.NOUNS + F.VERBS + F.ADJECTIVES + F.NUMBER_WORDS) | {
    word for group in SENTENCES for text in group
    for word in re.findall("[a-z]{2,}", re.sub("{.*?}", "", text.lower()))})
CAPITALISED = F.DAYS + F.MONTHS + F.NAMES + [
    w for w in [*F.CAPITALS, *F.CAPITALS.values(), *F.UNKNOWN_PLACES] if w.isascii() and w.isalpha()]
NEVER = {w.lower() for w in F.HELD_OUT_WORDS + F.HELD_OUT_NAMES + F.HELD_OUT_PLACES}

ONSETS = "b c d f g h j k l m n p r s t v w z br cl dr fl gr pl pr st th tr sh ch qu sp sw wh".split() + [""] * 3
VOWELS = "a e i o u ee oo ea ai ou y".split()
CODAS = "n r t l s m d ck ll tt nd rt pp x ng".split() + [""] * 3
ENDINGS = "s er ing y ly ed less ful".split()


def held_out_pair(a, b):
    """A tenth of the pairs, whichever number stands first, by a fixed mix of their bits."""
    x = (min(a, b) * 1000 + max(a, b) + 1) * 2654435761 & 0xFFFFFFFF
    x = (x ^ x >> 15) * 2246822519 & 0xFFFFFFFF
    return (x ^ x >> 13) % 10 == 0


def made_up_word(rng):
    """A word that may not exist, of at most 12 letters: joined words, pieces of words, syllables, or plain letters."""
    way = rng.random()
    if way < 0.1:
        word = rng.choice(F.NOUNS) + rng.choice(F.NOUNS + ENDINGS)
    elif way < 0.4:
        head, tail = rng.choice(WORDS + CAPITALISED).lower(), rng.choice(WORDS + CAPITALISED).lower()
        word = head[:rng.randint(1, 5)] + tail[-rng.randint(1, 5):]
    elif way < 0.8:
        word = "".join(rng.choice(ONSETS) + rng.choice(VOWELS) + rng.choice(CODAS)
                       for _ in range(rng.choice((1, 2, 2, 3, 4))))
    else:
        word = "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(2, 9)))
    return made_up_word(rng) if word[:12] in NEVER else word[:12]


def dashed(word):
    return "-".join(word)


class Conversation:
    """Turns of (kind, question, answer); it remembers the last sum and the name of who asks."""

    def __init__(self, rng, held_out=False):
        self.rng, self.held_out, self.total, self.person = rng, held_out, None, None

    def turn(self):
        if self.total is not None and self.rng.random() < 0.3:
            return self.more()
        self.total = None
        kind = self.rng.choices(list(KINDS), list(KINDS.values()))[0]
        return getattr(self, kind)()

    def say(self, texts, **fields):
        """One of the texts, filled in, now and then as typed in a hurry."""
        rng = self.rng
        text = rng.choice(list(texts))
        if rng.random() < 0.2:
            text = text.lower()
            if rng.random() < 0.5:
                fields = {k: v.lower() if k in "cdkmu" else v for k, v in fields.items()}
        if rng.random() < 0.2:
            text = text.rstrip("?.!")
        text = text.format(**fields)
        return "T" + text[1:] if text.startswith("the ") else text

    def pair(self, limit, limit2=None):
        while True:
            a, b = self.rng.randrange(limit), self.rng.randrange(limit2 or limit)
            if held_out_pair(a, b) == self.held_out:
                return (a, b) if self.rng.random() < 0.5 else (b, a)

    def sums(self):
        limits = self.rng.choices(((10, 10), (21, 21), (100, 100), (1000, 100), (1000, 1000)), (5, 6, 44, 10, 35))[0]
        return self.sum_below(*limits, as_words=limits[0] == 21)

    def sum_below(self, limit, limit2, as_words=False):
        a, b = self.pair(limit, limit2)
        self.total = a + b
        asked = {"a": F.NUMBER_WORDS[a], "b": F.NUMBER_WORDS[b]} if as_words else {"a": a, "b": b}
        return "sums", self.say(F.SUM, **asked), f"{a} + {b} = {a + b}."

    def more(self):
        """Another number onto the last sum."""
        a, b = self.total, self.rng.randrange(100)
        if a > 999:
            self.total = None
            return "unknown", self.say(F.MORE, b=b), F.IDK
        while held_out_pair(a, b) != self.held_out:
            b = self.rng.randrange(100)
        self.total = a + b
        return "more", self.say(F.MORE, b=b), f"{a} + {b} = {a + b}."

    def word(self):
        rng = self.rng
        if self.held_out:
            return rng.choice(F.HELD_OUT_WORDS)
        word = rng.choice(rng.choices((WORDS, CAPITALISED, (made_up_word(rng),)), (40, 10, 50))[0])
        return word.capitalize() if rng.random() < 0.08 else word

    def backwards(self):
        word = self.word()
        return "backwards", self.say(F.BACKWARDS, w=word), f"{word} is {dashed(word)}, backwards {dashed(word[::-1])}."

    def spelling(self):
        word = self.word()
        return "spelling", self.say(F.SPELL, w=word), f"{word} is {dashed(word)}."

    def calendar(self):
        ways = (self.day, self.month, self.month_number, self.month_length, self.names_of_all)
        return "calendar", *self.rng.choices(ways, (35, 30, 14, 12, 9))[0]()

    def day(self):
        i, step = self.rng.randrange(7), self.rng.choice((-1, 1))
        day, other = F.DAYS[i], F.DAYS[(i + step) % 7]
        if self.rng.random() < 0.3:
            return self.say(F.TOMORROW if step == 1 else F.YESTERDAY, d=day), \
                f"Tomorrow is {other}." if step == 1 else f"Yesterday was {other}."
        return self.say(F.DAY_AFTER if step == 1 else F.DAY_BEFORE, d=day), \
            f"The day {'after' if step == 1 else 'before'} {day} is {other}."

    def month(self):
        i, step = self.rng.randrange(12), self.rng.choice((-1, 1))
        return self.say(F.MONTH_AFTER if step == 1 else F.MONTH_BEFORE, m=F.MONTHS[i]), \
            f"The month {'after' if step == 1 else 'before'} {F.MONTHS[i]} is {F.MONTHS[(i + step) % 12]}."

    def month_number(self):
        i = self.rng.randrange(12)
        if self.rng.random() < 0.5:
            return self.say(F.MONTH_NUMBER, m=F.MONTHS[i]), f"{F.MONTHS[i]} is month {i + 1}."
        return self.say(F.MONTH_NAMED, n=str(i + 1)), f"Month {i + 1} is {F.MONTHS[i]}."

    def month_length(self):
        i = self.rng.randrange(12)
        leap = ", and 29 in a leap year" if i == 1 else ""
        return self.say(F.MONTH_LENGTH, m=F.MONTHS[i]), f"{F.MONTHS[i]} has {F.MONTH_DAYS[i]} days{leap}."

    def names_of_all(self):
        answer = self.rng.choice(list(F.CALENDAR))
        return self.say(F.CALENDAR[answer]), answer

    def capitals(self):
        country, city = self.rng.choice(list(F.CAPITALS.items()))
        if self.rng.random() < 0.7:
            return "capitals", self.say(F.CAPITAL_OF, c=country), f"The capital of {country} is {city}."
        return "capitals", self.say(F.COUNTRY_OF, k=city), f"{city} is the capital of {country}."

    def talk(self):
        answer = self.rng.choice(list(F.TALK))
        return "talk", self.say(F.TALK[answer]), answer

    def someone(self):
        if self.held_out:
            return self.rng.choice(F.HELD_OUT_NAMES)
        name = self.rng.choice(F.NAMES) if self.rng.random() < 0.5 else made_up_word(self.rng).capitalize()
        return name.lower() if self.rng.random() < 0.1 else name

    def names(self):
        if self.rng.random() < 0.5:
            self.person = self.someone()
            return "names", self.say(F.MY_NAME, p=self.person), f"Hello, {self.person}!"
        known = f"Your name is {self.person}." if self.person else "I don't know your name."
        return "names", self.say(F.WHAT_NAME), known

    def place(self):
        if self.held_out:
            return self.rng.choice(F.HELD_OUT_PLACES)
        if self.rng.random() < 0.5:
            return self.rng.choice(F.UNKNOWN_PLACES)
        return " ".join(made_up_word(self.rng).capitalize() for _ in range(self.rng.choice((1, 1, 1, 2))))

    def unknown(self):
        rng = self.rng
        texts = F.UNKNOWN_CAPITAL if rng.random() < 0.35 else F.HELD_OUT_UNKNOWN if self.held_out else F.UNKNOWN
        (noun, noun2), (verb, verb2) = rng.sample(F.NOUNS, 2), rng.sample(F.VERBS, 2)
        if rng.random() < 0.25 and not self.held_out:
            noun = made_up_word(rng)
        (country, city), (_, city2) = rng.sample(list(F.CAPITALS.items()), 2)
        return "unknown", self.say(
            texts, n=noun, n2=noun2, v=verb, v2=verb2, j=rng.choice(F.ADJECTIVES), p=self.someone(), c=country, k=city,
            k2=city2, u=self.place(), x=rng.randrange(1000), z=rng.randrange(100), y=rng.randrange(1000, 100000),
            y2=rng.randrange(1000, 10000)), F.IDK


def held_out_questions(seed=2026):
    """Opening questions that measure the model, each once: 200 sums to 99 and to 999, and 100 of each other kind."""
    rng, rows = random.Random(seed), {}

    def collect(kind, count, ask):
        found = {}
        for _ in range(50 * count):
            if len(found) < count:
                _, question, answer = ask(Conversation(rng, held_out=True))
                if question not in rows:
                    found[question] = (kind, question, answer)
        rows.update(found)

    collect("sums to 99", 200, lambda c: c.sum_below(100, 100))
    collect("sums to 999", 200, lambda c: c.sum_below(1000, 1000))
    for kind in KINDS:
        if kind != "sums":
            collect(kind, 100, getattr(Conversation, kind))
    return list(rows.values())


if __name__ == "__main__":
    if sys.argv[1:2] == ["--held-out"]:
        with open(sys.argv[2], "w", encoding="utf-8") as out:
            out.writelines("\t".join(row) + "\n" for row in held_out_questions())
    else:
        for i in range(int(sys.argv[1]) if len(sys.argv) > 1 else 10):
            talk = Conversation(random.Random(i))
            for _ in range(8):
                print("%-10s %-50s %s" % talk.turn())
            print()
