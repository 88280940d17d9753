"""Draws what bench/peers measured: BUILD/bench/*.json to one picture and one page of tables.

Bars are speed relative to the fastest peer of that row (the line at 1): longer is faster. Labels are median times, and
for emily the share of the machine's measured multiply-add rate where there is one. Standard library only.
Use: report.py BUILD/bench docs/speed.svg docs/speed.md
"""
import html
import json
import os
import sys

ORDER = ["encoders", "text", "tokenizers", "cold", "ops", "chains", "small", "fast", "index", "order", "fourier",
         "random_numbers", "conv", "dots", "quant", "accuracy"]
COLOURS = {"emily": "#d9480f", "torch": "#4263eb", "torch.compile": "#748ffc", "onnxruntime": "#0ca678",
           "openvino": "#1098ad", "numpy": "#868e96", "jax": "#ae3ec9", "tokenizers": "#0ca678",
           "sentence-transformers": "#4263eb", "onnxruntime + tokenizers": "#0ca678", "emily embed (process)": "#f08c00"}
WIDTH, LEFT, UNIT, BAR = 860, 230, 170, 13
LONGEST = 2.9


class Picture:
    def __init__(self):
        self.parts, self.y = [], 16

    def text(self, x, words, size=12, anchor="start", weight="normal", colour="#212529"):
        self.parts.append(f'<text x="{x:.0f}" y="{self.y:.0f}" font-size="{size}" text-anchor="{anchor}" '
                          f'font-weight="{weight}" fill="{colour}">{html.escape(words)}</text>')

    def bar(self, name, ratio, label, colour=None):
        shown = min(ratio, LONGEST)
        self.parts.append(f'<rect x="{LEFT}" y="{self.y - BAR + 3:.0f}" width="{max(shown * UNIT, 1):.1f}" '
                          f'height="{BAR - 2}" rx="2" fill="{colour or COLOURS.get(name, "#adb5bd")}"/>')
        self.text(LEFT - 6, name, 11, "end", "bold" if name == "emily" else "normal")
        self.text(LEFT + shown * UNIT + 6, label + (" \u2192" if ratio > LONGEST else ""), 11)
        self.y += BAR

    def line(self, top):
        x = LEFT + UNIT
        self.parts.append(f'<line x1="{x}" y1="{top:.0f}" x2="{x}" y2="{self.y - 8:.0f}" stroke="#495057" '
                          'stroke-dasharray="3 3"/>')

    def write(self, path):
        height = self.y + 6
        with open(path, "w", encoding="utf-8") as f:
            f.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:.0f}" '
                    f'viewBox="0 0 {WIDTH} {height:.0f}" font-family="system-ui, sans-serif">\n'
                    f'<rect width="100%" height="100%" fill="#ffffff"/>\n' + "\n".join(self.parts) + "\n</svg>\n")


def show(value, unit):
    if unit == "us":
        value, unit = value * 1e3, "\u00b5s"
    return f"{value:.3g} {unit}" if value < 1000 else f"{value:,.0f} {unit}"


def groups(picture, table):
    """One group of bars for each row that several engines ran."""
    for row in table.get("results", []):
        got = row.get("got")
        if not got:
            continue
        peers = [n for n in got if not n.startswith("emily")]
        if not peers:
            continue
        reference = min(got[n]["median"] for n in peers)
        picture.text(12, row["what"], 12, weight="bold")
        top = picture.y - 10
        for name, times in got.items():
            label = show(times["median"], row["unit"])
            if name.startswith("emily"):
                label += f", {reference / times['median']:.2f}x the fastest peer"
                if name == "emily" and row.get("share"):
                    label += f", {row['share']:.0%} of peak"
            picture.bar(name, reference / times["median"], label)
        picture.line(top)
        picture.y += 5


def compact(picture, table):
    """Only emily's bar of each row: many rows, one line each."""
    top = picture.y - 10
    for row in table["results"]:
        ratio = row["ratio"]
        label = f"{ratio:.2f}x {row['fastest']}, {show(row['got']['emily']['median'], row['unit'])}"
        picture.text(12, row["what"], 11)
        picture.bar("", ratio, label, COLOURS["emily"])
    picture.line(top)


def markdown(table):
    rows = [table["header"], ["---"] * len(table["header"])] + table["rows"]
    where = table["where"]
    peak = where.get("limits", {}).get("fma_gflops")
    notes = [where["processor"], f"{where['threads']} threads"]
    notes += [f"{peak:.0f} GFLOP/s of f32 multiply-adds measured"] if peak else []
    notes += [f"{k} {v}" for k, v in where["versions"].items()]
    return f"## {table['title']}\n\n" + "\n".join("| " + " | ".join(map(str, r)) + " |" for r in rows) + \
        "\n\n" + ", ".join(notes) + ".\n"


def main(folder, svg, page):
    tables = []
    for name in ORDER:
        path = os.path.join(folder, name + ".json")
        if os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                tables.append(json.load(f))
    if not tables:
        sys.exit(f"{folder}: no results; run bench/compare.sh first")
    picture = Picture()
    for table in tables:
        if table["name"] in ("cold", "accuracy", "small"):
            continue
        picture.y += 12
        picture.text(12, table["title"], 14, weight="bold")
        picture.y += 20
        one_line = ("ops", "fast", "index", "order", "fourier", "random_numbers", "conv", "dots")
        (compact if table["name"] in one_line else groups)(picture, table)
    picture.y += 12
    where = tables[0]["where"]
    picture.text(12, f"Longer is faster; the line is the fastest peer of the row. {where['processor']}, "
                     f"{where['threads']} threads for every engine.", 11, colour="#495057")
    os.makedirs(os.path.dirname(os.path.abspath(svg)), exist_ok=True)
    picture.write(svg)
    with open(page, "w", encoding="utf-8") as f:
        f.write("# Speed, measured\n\nMade by `make bench`: every engine in turn, in one run, on the same threads. Times on "
                "another machine differ;\nratios are what to compare.\n\n![speed](" + os.path.basename(svg) + ")\n\n" +
                "\n".join(map(markdown, tables)))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
