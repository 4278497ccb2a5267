"""Files and batches with the official OpenAI SDK. Prints the ids of what it has made, as JSON, for the test to compare with the books.

    batch_checks.py BASE_URL KEY STRANGERS_KEY
"""
import io
import json
import sys
import time

import openai
from openai import OpenAI

import checks
from checks import check

base, key, strangers_key = sys.argv[1:4]
client = OpenAI(base_url=base + "/v1", api_key=key, max_retries=0)
stranger = OpenAI(base_url=base + "/v1", api_key=strangers_key, max_retries=0)


def raises(name, kind, call, words=""):
    try:
        call()
    except kind as error:
        check(name, words in str(error), str(error))
        return str(error)
    check(name, False, "no error")


def line(number, text, model="public/model", url="/v1/chat/completions", **more):
    body = {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": 50} | more
    return {"custom_id": f"request-{number}", "method": "POST", "url": url, "body": body}


def upload(lines, who=client):
    text = "".join(json.dumps(line) + "\n" for line in lines)
    return who.files.create(file=("work.jsonl", io.BytesIO(text.encode())), purpose="batch"), text


def wait(batch):
    for _ in range(600):
        batch = client.batches.retrieve(batch.id)
        if batch.status in ("completed", "failed", "expired", "cancelled"):
            return batch
        time.sleep(0.05)
    check("the batch ends", False, batch)


# A file and its description.
words = ["one", "two words", "now three words", "and this is five words", "äöü 世界"]
file, text = upload([line(number, said) for number, said in enumerate(words)])
check("upload", file.filename == "work.jsonl" and file.bytes == len(text.encode()) and file.purpose == "batch", file)
check("retrieve a file", client.files.retrieve(file.id).filename == "work.jsonl")
check("list files", [item.id for item in client.files.list()] == [file.id])
check("the input has the public name", {json.loads(row)["body"]["model"] for row in client.files.content(file.id).text.splitlines()} == {"public/model"})

# The whole way.
batch = client.batches.create(
    input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", metadata={"purpose": "test"})
check("create", batch.endpoint == "/v1/chat/completions" and batch.input_file_id == file.id and batch.metadata == {"purpose": "test"}, batch)
batch = wait(batch)
check("completed", batch.status == "completed" and batch.request_counts.completed == 4 and batch.request_counts.failed == 1, batch)
check("metadata is the client's", batch.metadata == {"purpose": "test"}, batch)
rows = [json.loads(row) for row in client.files.content(batch.output_file_id).text.splitlines()]
check("output", [row["custom_id"] for row in rows] == [f"request-{number}" for number in range(4)], rows)
check("echo", [row["response"]["body"]["choices"][0]["message"]["content"] for row in rows] == words[:4], rows)
check("public name", {row["response"]["body"]["model"] for row in rows} == {"public/model"}, rows)
cost = sum(row["response"]["body"]["usage"]["cost"] for row in rows)
check("cost of each line", cost > 0, rows)
errors = [json.loads(row) for row in client.files.content(batch.error_file_id).text.splitlines()]
check("errors", [row["custom_id"] for row in errors] == ["request-4"] and errors[0]["response"]["status_code"] == 400, errors)
made = {"batches": [{"id": batch.id, "cost": f"{cost:.9f}"}]}

# One that is cancelled is charged for what is done.
slow, _ = upload([line(number, "some words here") for number in range(4)])
batch = client.batches.create(input_file_id=slow.id, endpoint="/v1/chat/completions", completion_window="24h")
cancelling = client.batches.cancel(batch.id)
check("cancelling", cancelling.status == "cancelling", cancelling)
batch = wait(batch)
check("cancelled", batch.status == "cancelled" and batch.request_counts.completed == 2, batch)
made["batches"].append({"id": batch.id})

# One that expires.
batch = client.batches.create(input_file_id=slow.id, endpoint="/v1/chat/completions", completion_window="24h")
batch = wait(batch)
check("expired", batch.status == "expired" and batch.request_counts.completed == 1, batch)
made["batches"].append({"id": batch.id})

# Embeddings, and pages.
vectors, _ = upload([
    {"custom_id": "e", "method": "POST", "url": "/v1/embeddings", "body": {"model": "public/model", "input": ["one", "two three"]}}])
batch = client.batches.create(input_file_id=vectors.id, endpoint="/v1/embeddings", completion_window="24h")
batch = wait(batch)
rows = [json.loads(row) for row in client.files.content(batch.output_file_id).text.splitlines()]
check("embeddings", len(rows[0]["response"]["body"]["data"]) == 2, rows)
made["batches"].append({"id": batch.id})
texts, _ = upload([
    {"custom_id": "t", "method": "POST", "url": "/v1/completions", "body": {"model": "public/model", "prompt": "one two", "max_tokens": 9}}])
batch = client.batches.create(input_file_id=texts.id, endpoint="/v1/completions", completion_window="24h")
batch = wait(batch)
rows = [json.loads(row) for row in client.files.content(batch.output_file_id).text.splitlines()]
check("completions", rows[0]["response"]["body"]["choices"][0]["text"] == "one two", rows)
made["batches"].append({"id": batch.id})
ids = [item.id for item in client.batches.list(limit=1)]
check("all batches by pages of one, newest first", ids == [item["id"] for item in reversed(made["batches"])], ids)

# Somebody else finds nothing, with the same words as for what never was.
output = batch.output_file_id
for name, call in {
    "file": lambda id: stranger.files.retrieve(id), "content": lambda id: stranger.files.content(id), "delete": lambda id: stranger.files.delete(id),
}.items():
    for id in (file.id, output):
        told = raises(f"a stranger's {name}", openai.NotFoundError, lambda: call(id), id)
        never = raises(f"a {name} that never was", openai.NotFoundError, lambda: call("file-never-was"), "file-never-was")
        check("the same words", told.replace(id, "X") == never.replace("file-never-was", "X"), (told, never))
raises("a stranger's batch", openai.NotFoundError, lambda: stranger.batches.retrieve(batch.id), batch.id)
raises("a stranger's cancel", openai.NotFoundError, lambda: stranger.batches.cancel(batch.id), batch.id)
raises("a stranger's input", openai.NotFoundError, lambda: stranger.batches.create(
    input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"), file.id)
check("a stranger's lists", not list(stranger.files.list()) and not list(stranger.batches.list()))
check("nothing was deleted", client.files.retrieve(file.id).id == file.id)

# Invalid requests are refused with a reason.
bad = openai.BadRequestError
raises("no such endpoint", bad, lambda: upload([line(0, "x", url="/v1/images/generations")]), "line 1 of the file: 'url' must be one of")
raises("two models", bad, lambda: upload([line(0, "x"), line(1, "x", model="plain/model")]), "line 2 of the file: its 'model'")
raises("two urls", bad, lambda: upload([line(0, "x"), {
    "custom_id": "e", "method": "POST", "url": "/v1/embeddings", "body": {"model": "public/model", "input": "x"}}]), "line 2 of the file: its 'url'")
raises("one id twice", bad, lambda: upload([line(0, "x"), line(0, "y")]), "line 2 of the file: its 'custom_id'")
raises("a stream", bad, lambda: upload([line(0, "x", stream=True)]), "'stream' is not possible in a batch")
raises("no lines", bad, lambda: upload([]), "the file has no lines")
raises("too many lines", bad, lambda: upload([line(number, "x") for number in range(101)]), "more than 100 lines")
raises("no price of a batch", bad, lambda: upload([line(0, "x", model="plain/model")]), "service_tiers: { batch:")
raises("no batches at the vendor", bad, lambda: upload([line(0, "x", model="sim/cheap")]), "has batches of /v1/chat/completions")
raises("no such model", openai.NotFoundError, lambda: upload([line(0, "x", model="no/model")]), "no/model")
raises("another purpose", bad, lambda: client.files.create(file=("a", b"{}"), purpose="assistants"), "'purpose' must be batch")
raises("another endpoint", bad, lambda: client.batches.create(
    input_file_id=file.id, endpoint="/v1/embeddings", completion_window="24h"), "'endpoint' must be that of the file's lines")
raises("another window", bad, lambda: client.batches.create(
    input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="1h"), "'completion_window' must be 24h")

# Deleting.
check("delete", client.files.delete(slow.id).deleted)
raises("deleted", openai.NotFoundError, lambda: client.files.retrieve(slow.id), slow.id)

made["passed"] = checks.count
print(json.dumps(made))
