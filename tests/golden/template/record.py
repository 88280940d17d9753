"""Records what Transformers makes of the templates of book.py (data/book.json) and chats.py (data/chats.json).

    pip install transformers jinja2        # recorded with transformers 5.23.0, jinja2 3.1.6
    python record.py

Templates are compiled by the function that apply_chat_template uses; its clock stands at NOW, UTC. An error is null:
that of jinja2 or of Python, whichever it is, and for the STRICT templates that of Emily.
"""
import datetime
import json
import os
import re
import sys

os.environ["TZ"] = "UTC"
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, here)

from transformers.utils import chat_template_utils as utils  # noqa: E402

import book  # noqa: E402
import chats  # noqa: E402

NOW = 1732200000


class Clock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(NOW, tz)


utils.datetime = Clock


def render(template, variables):
    try:
        text = utils._cached_compile_jinja_template(template).render(**variables)
        text.encode()
        return text
    except Exception:
        return None


def record_book():
    cases = []
    for template in book.TEMPLATES:
        text = render(template, book.VARIABLES)
        if text is not None and re.search(r"0x[0-9a-f]{6,}", text):
            continue  # an address: nobody's business
        cases.append([template, text])
    cases += [[template, None] for template in book.STRICT]
    return {"now": NOW, "variables": book.VARIABLES, "cases": cases}


def record_chats():
    cases = []
    for name, template, files in chats.TEMPLATES:
        for chat in chats.CHATS:
            for prompt in (False, True):
                for variables in [{}] + chats.EXTRA.get(name, []):
                    tools = chat.get("tools")
                    given = {**files, **variables}
                    try:
                        text = utils.render_jinja_template(
                            [json.loads(json.dumps(chat["messages"]))], tools=tools, chat_template=template,
                            add_generation_prompt=prompt, **given)[0][0]
                    except Exception:
                        text = None
                    cases.append([name, chat["name"], prompt, variables, text])
    return {"now": NOW, "templates": {n: {"template": t, "config": f} for n, t, f in chats.TEMPLATES},
            "chats": {c["name"]: {"messages": c["messages"], "tools": c.get("tools")} for c in chats.CHATS}, "cases": cases}


def write(name, data):
    path = os.path.join(here, "data", name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as out:
        out.write("{\n")
        for i, (key, value) in enumerate(data.items()):
            out.write(("" if i == 0 else ",\n") + json.dumps(key) + ":")
            if isinstance(value, list):
                out.write("[\n" + ",\n".join(json.dumps(v, ensure_ascii=False) for v in value) + "\n]")
            else:
                out.write(json.dumps(value, ensure_ascii=False))
        out.write("\n}\n")
    cases = data["cases"]
    print(f"{name}: {len(cases)} cases, {sum(c[-1] is None for c in cases)} errors")


if __name__ == "__main__":
    write("book.json", record_book())
    write("chats.json", record_chats())
