"""The official OpenAI SDK against the gateway in front of llama.cpp's own server, whose model says noise.

Usage: python local_checks.py GATEWAY KEY
"""
import sys

import openai

base, key = sys.argv[1:3]
client = openai.OpenAI(base_url=f"{base}/v1", api_key=key, max_retries=0, timeout=60)
messages = [{"role": "user", "content": "hello"}]
checks = 0


def check(fact, what):
    global checks
    assert fact, what
    checks += 1


whole = client.chat.completions.create(model="noise", messages=messages, max_tokens=8, temperature=0)
check(whole.model == "noise", whole.model)
check(whole.choices[0].finish_reason in ("length", "stop"), whole)
check(whole.usage.completion_tokens in range(1, 9) and whole.usage.prompt_tokens > 5, whole.usage)
# 10 USD per million prompt tokens, 20 per million completion tokens, cached ones a dollar.
cached = whole.usage.prompt_tokens_details.cached_tokens if whole.usage.prompt_tokens_details else 0
cost = (whole.usage.prompt_tokens - cached) * 10e-6 + cached * 1e-6 + whole.usage.completion_tokens * 20e-6
check(abs(whole.usage.model_dump()["cost"] - cost) < 1e-9, (whole.usage, cost))

text, usage, reasons = "", None, []
stream = client.chat.completions.create(
    model="noise", messages=messages, max_tokens=8, temperature=0, stream=True, stream_options={"include_usage": True})
for chunk in stream:
    if chunk.usage:
        usage = chunk.usage
    for choice in chunk.choices:
        text += choice.delta.content or ""
        if choice.finish_reason:
            reasons.append(choice.finish_reason)
# A stream leaves out the bytes of a character that noise has not completed.
check(text.replace("\ufffd", "") == whole.choices[0].message.content.replace("\ufffd", ""), (text, whole))
check(reasons == [whole.choices[0].finish_reason], reasons)
check(usage and usage.completion_tokens == whole.usage.completion_tokens, usage)
# The second time the prompt is cached, and the gateway charges it as such.
check(usage.prompt_tokens_details.cached_tokens > 0, usage)

completion = client.completions.create(model="noise", prompt="once", max_tokens=4)
check(completion.usage.total_tokens > 4, completion)

several = [client.chat.completions.create(model="noise", messages=messages, max_tokens=2) for _ in range(3)]
check(all(answer.usage for answer in several), several)

try:
    client.chat.completions.create(model="noise", messages=[{"role": "user", "content": "x" * 9_000}], max_tokens=8)
    check(False, "a prompt over the context was accepted")
except openai.BadRequestError as error:
    check("context" in str(error).lower(), error)

try:
    client.chat.completions.create(model="other", messages=messages)
    check(False, "a model that is not there was accepted")
except openai.NotFoundError:
    check(True, "")

print(f"{checks} checks passed")
