"""How many answers of a checkpoint are right, to the letter: evaluate.py CHECKPOINT [QUESTIONS.tsv]

An answer counts when greedy decoding says exactly this text. It does where each of its tokens, and the end after it, is
the likeliest in one pass over the conversation; where one is not, the answer is decoded, as other tokens may spell it.
First the held-out opening questions, by kind; then long conversations that ask only held-out things, by kind and by how
far in. SHOW=1 shows the questions that were answered wrong.
"""
import collections
import os
import random
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import generate


def decoded(model, tokenizer, ids):
    tokens = model.generate(torch.tensor([ids], device=model.device), max_new_tokens=96, do_sample=False)
    return tokenizer.decode(tokens[0, len(ids):], skip_special_tokens=True)


def right_answers(model, tokenizer, conversations):
    """For each conversation, a list of [(kind, question, answer)], which turns are answered right."""
    results = []
    for turns in conversations:
        ids, spans = [], []
        for _, question, answer in turns:
            chat = tokenizer.apply_chat_template([{"role": "user", "content": question}], tokenize=False,
                                                 add_generation_prompt=True)
            ids += tokenizer.encode(chat)
            told = tokenizer.encode(answer + "<|im_end|>\n")
            spans.append((len(ids), len(ids) + len(told) - 1))
            ids += told
        tokens = torch.tensor([ids], device=model.device)
        with torch.no_grad():
            said = model(tokens).logits[0].argmax(-1).tolist()
        results.append([said[first - 1:last - 1] == ids[first:last] or decoded(model, tokenizer, ids[:first]) == answer
                        for (first, last), (_, _, answer) in zip(spans, turns)])
    return results


def report(title, counts):
    print(title)
    for key, marks in counts.items():
        print(f"  {key:24} {sum(marks):5} of {len(marks):5}  {100 * sum(marks) / len(marks):6.2f} %")


def main():
    tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
    model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32).eval()
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    if len(sys.argv) > 2:
        with open(sys.argv[2], encoding="utf-8") as file:
            questions = [line.rstrip("\n").split("\t") for line in file]
    else:
        questions = generate.held_out_questions()
    by_kind = collections.defaultdict(list)
    for (row,), (right,) in zip([[q] for q in questions], right_answers(model, tokenizer, [[q] for q in questions])):
        by_kind[row[0]].append(right)
        if not right and os.environ.get("SHOW"):
            print("wrong:", *row)
    report("opening questions", by_kind)

    conversations = []
    for i in range(60):
        talk, turns, length = generate.Conversation(random.Random(f"measure {i}"), held_out=True), [], 0
        while True:
            turn = talk.turn()
            length += 14 + len(tokenizer.encode(turn[1] + turn[2]))
            if length > 1000:
                break
            turns.append(turn)
        conversations.append(turns)
    by_kind, by_place = collections.defaultdict(list), collections.defaultdict(list)
    for turns, right in zip(conversations, right_answers(model, tokenizer, conversations)):
        for i, (turn, ok) in enumerate(zip(turns, right)):
            by_kind[turn[0]].append(ok)
            by_place[f"turns {i // 10 * 10 + 1} to {i // 10 * 10 + 10}"].append(ok)
    report("in conversations of up to 1,000 tokens", {**by_kind, **by_place})


if __name__ == "__main__":
    main()
