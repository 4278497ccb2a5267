"""The official OpenAI SDK on responses that are kept, before vendors that keep them and vendors that do not.

    responses_checks.py GATEWAY_URL KEY STRANGERS_KEY STATE_FILE first|again MODEL...

`first` leaves ids in the file, with which `again` goes on after a restart. Exits non-zero at the first thing that is not as it should be.
"""
import json
import sys
import time

import openai

from checks import check, finish

base, key, stranger_key, state_file, phase, *models = sys.argv[1:]


def refused(name, call, status, words=""):
    try:
        call()
    except openai.APIStatusError as error:
        check(name, error.status_code == status and words in error.message, f"{error.status_code} {error.message}")
        return error
    check(name, False, "no error")


client = openai.OpenAI(base_url=base + "/v1", api_key=key, max_retries=0)
alias = openai.OpenAI(base_url=base + "/api/v1", api_key=key, max_retries=0)
stranger = openai.OpenAI(base_url=base + "/v1", api_key=stranger_key, max_retries=0)


def streamed(**arguments):
    text, final = "", None
    for event in client.responses.create(stream=True, **arguments):
        if event.type == "response.output_text.delta":
            text += event.delta
        if event.type == "response.completed":
            final = event.response
    check("a stream ends with the response", final is not None and final.output_text == text, text)
    return final


def strangers(model, name, known):
    """Another user's response is as unknown as one that never was."""
    calls = [
        lambda who, id: who.responses.retrieve(id),
        lambda who, id: who.responses.delete(id),
        lambda who, id: who.responses.cancel(id),
        lambda who, id: who.responses.input_items.list(id),
        lambda who, id: who.responses.create(model=model, input="x", previous_response_id=id),
    ]
    for number, call in enumerate(calls):
        theirs = refused(f"{name}: a stranger, {number}", lambda: call(stranger, known), 404, f"Response with id '{known}' not found.")
        never = refused(f"{name}: nobody's, {number}", lambda: call(client, "resp_never"), 404, "Response with id 'resp_never' not found.")
        same = theirs.message.replace(known, "ID") == never.message.replace("resp_never", "ID") and theirs.code == never.code
        check(f"{name}: told apart, {number}", same, (theirs.message, never.message))


def first_time(model):
    one = client.responses.create(model=model, input="one two three", instructions="be brief")
    check(f"{model}: text", one.output_text == "one two three" and one.model == model, one)
    check(f"{model}: tokens", one.usage.input_tokens == 8 and one.usage.output_tokens == 3, one.usage)

    got = client.responses.retrieve(one.id)
    check(f"{model}: retrieved", got.id == one.id and got.output_text == "one two three" and got.model == model, got)
    check(f"{model}: retrieved state", got.store is True and got.usage.output_tokens == 3, got)
    check(f"{model}: under /api/v1", alias.responses.retrieve(one.id).output_text == "one two three")
    items = client.responses.input_items.list(one.id).data
    check(f"{model}: input items", len(items) == 1 and items[0].content[0].text == "one two three" and items[0].id, items)

    # Instructions are not carried over: three tokens, six words of the first turn and one more.
    two = client.responses.create(model=model, input="four", previous_response_id=one.id)
    check(f"{model}: continued", two.output_text == "four" and two.usage.input_tokens == 10, two)
    check(f"{model}: continues", client.responses.retrieve(two.id).previous_response_id == one.id)
    # At once after the last byte of a stream, and with a stream again.
    three = streamed(model=model, input="five six", previous_response_id=two.id)
    check(f"{model}: continued in a stream", three.output_text == "five six" and three.usage.input_tokens == 13, three)
    four = streamed(model=model, input=[{"role": "user", "content": "seven"}], previous_response_id=three.id)
    check(f"{model}: and again", four.output_text == "seven" and four.usage.input_tokens == 16, four)

    texts = lambda items: [part.text for item in items for part in item.content]
    every = list(client.responses.input_items.list(four.id, order="asc"))
    expected = ["one two three", "one two three", "four", "four", "five six", "five six", "seven"]
    check(f"{model}: all input", texts(every) == expected, texts(every))
    check(f"{model}: ids of items", len({item.id for item in every}) == len(every), every)

    none = client.responses.create(model=model, input="not kept", store=False)
    check(f"{model}: not stored", none.output_text == "not kept")
    refused(f"{model}: not stored", lambda: client.responses.retrieve(none.id), 404)
    refused(f"{model}: not to be continued", lambda: client.responses.create(model=model, input="x", previous_response_id=none.id), 404)
    refused(f"{model}: not in the background", lambda: client.responses.cancel(one.id), 400, "cancel")

    tool = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}, "strict": False}
    asked = client.responses.create(model=model, input="look", tools=[tool], store=True)
    call = next(item for item in asked.output if item.type == "function_call")
    told = client.responses.create(
        model=model, previous_response_id=asked.id, input=[
            {"type": "function_call_output", "call_id": call.call_id, "output": "rain"}, {"role": "user", "content": "and now"}])
    check(f"{model}: a tool's result", told.output_text == "and now" and told.status == "completed", told)

    if model not in ("held", "native"):
        # As Vercel's AI SDK goes on.
        said = two.output[0].id
        referring = client.responses.create(model=model, input=[
            {"role": "user", "content": "four"}, {"type": "item_reference", "id": said}, {"role": "user", "content": "eight"}])
        check(f"{model}: a reference to an item", referring.output_text == "eight" and referring.usage.input_tokens == 6, referring)
        refused(f"{model}: a stranger's reference", lambda: stranger.responses.create(
            model=model, input=[{"type": "item_reference", "id": said}, {"role": "user", "content": "x"}]), 400)
        # A few bytes each that stand for 300 KB: their sum is bounded before it is written.
        long = client.responses.create(model=model, input=[{"role": "user", "content": "x" * 300_000}])
        item = client.responses.input_items.list(long.id).data[0].id
        refused(f"{model}: more by references than a request may have", lambda: client.responses.create(
            model=model, input=[{"type": "item_reference", "id": item}] * 120), 400, "max_body_bytes")

    strangers(model, model, one.id)
    check(f"{model}: deleted", client.responses.delete(one.id) is None)
    refused(f"{model}: deleted", lambda: client.responses.retrieve(one.id), 404)
    refused(f"{model}: deleted twice", lambda: client.responses.delete(one.id), 404)
    refused(f"{model}: deleted, continued", lambda: client.responses.create(model=model, input="x", previous_response_id=one.id), 404)
    again = client.responses.create(model=model, input="still", previous_response_id=two.id)
    check(f"{model}: what continued it stays", again.usage.input_tokens == 3 + 8 + 1, again)
    return two.id


def pages(model):
    """Where the gateway keeps the items, it lists them in pages."""
    asked = [{"role": "user", "content": f"word{number}"} for number in range(5)]
    id = client.responses.create(model=model, input=asked).id
    page = client.responses.input_items.list(id, limit=2, order="asc")
    check(f"{model}: a page", [item.content[0].text for item in page.data] == ["word0", "word1"] and page.has_more, page)
    second = client.responses.input_items.list(id, limit=2, order="asc", after=page.last_id)
    check(f"{model}: the next page", [item.content[0].text for item in second.data] == ["word2", "word3"] and second.has_more, second)
    check(f"{model}: newest first", client.responses.input_items.list(id).data[0].content[0].text == "word4")
    check(f"{model}: all pages", len(list(client.responses.input_items.list(id, limit=2))) == 5)
    refused(f"{model}: too many", lambda: client.responses.input_items.list(id, limit=101), 400, "'limit'")
    refused(f"{model}: after nothing", lambda: client.responses.input_items.list(id, after="msg_none"), 400, "'after'")


def conversations(model):
    made = client.conversations.create(metadata={"topic": "x"}, items=[
        {"type": "message", "role": "user", "content": "alpha beta"}, {"type": "message", "role": "assistant", "content": "fine"}])
    check(f"{model}: conversation", made.id.startswith("conv_") and made.metadata == {"topic": "x"}, made)
    one = client.responses.create(model=model, input="gamma", conversation=made.id)
    check(f"{model}: in a conversation", one.output_text == "gamma" and one.usage.input_tokens == 7, one)
    two = streamed(model=model, input="delta", conversation={"id": made.id})
    check(f"{model}: it grows", two.usage.input_tokens == 9, two)
    items = list(client.conversations.items.list(made.id, order="asc"))
    check(f"{model}: its items", [item.content[0].text for item in items] == ["alpha beta", "fine", "gamma", "gamma", "delta", "delta"], items)
    added = client.conversations.items.create(made.id, items=[{"type": "message", "role": "user", "content": "epsilon"}])
    check(f"{model}: an item more", client.conversations.items.retrieve(added.data[0].id, conversation_id=made.id).id == added.data[0].id)
    client.conversations.items.delete(added.data[0].id, conversation_id=made.id)
    check(f"{model}: an item less", len(list(client.conversations.items.list(made.id))) == 6)
    check(f"{model}: metadata", client.conversations.update(made.id, metadata={"a": "b"}).metadata == {"a": "b"})
    check(f"{model}: metadata kept", client.conversations.retrieve(made.id).metadata == {"a": "b"})
    for number, call in enumerate([
        lambda: stranger.conversations.retrieve(made.id), lambda: stranger.conversations.delete(made.id),
        lambda: stranger.conversations.update(made.id, metadata={}), lambda: stranger.conversations.items.list(made.id),
        lambda: stranger.conversations.items.create(made.id, items=[{"type": "message", "role": "user", "content": "x"}]),
        lambda: stranger.conversations.items.retrieve(items[0].id, conversation_id=made.id),
        lambda: stranger.conversations.items.delete(items[0].id, conversation_id=made.id),
        lambda: stranger.responses.create(model=model, input="x", conversation=made.id),
        lambda: client.responses.retrieve(made.id),
    ]):
        refused(f"{model}: a stranger's conversation, {number}", call, 404, "not found")
    check(f"{model}: conversation deleted", client.conversations.delete(made.id).deleted)
    refused(f"{model}: conversation deleted", lambda: client.conversations.retrieve(made.id), 404)


if phase == "first":
    known = {}
    for model in models:
        known[model] = first_time(model)
        conversations(model)
        if model != "held":
            pages(model)
    # Text of one vendor's model goes on at another's.
    begun = client.responses.create(model="chat", input="begun here")
    moved = client.responses.create(model="anthropic", input="ended there", previous_response_id=begun.id)
    check("continued at another vendor", moved.usage.input_tokens == 3 + 4 + 2, moved)
    moved = client.responses.create(model="held", input="kept there", previous_response_id=begun.id)
    check("continued at a vendor that keeps state", moved.usage.input_tokens == 3 + 4 + 2, moved)
    after = client.responses.create(model="held", input="more", previous_response_id=moved.id)
    check("and there once more", after.usage.input_tokens == 3 + 6 + 2 + 1, after)
    refused("not the other way", lambda: client.responses.create(model="chat", input="x", previous_response_id=moved.id), 400, "send the whole input")
    refused("two states", lambda: client.responses.create(model="chat", input="x", previous_response_id=begun.id, conversation="conv_1"), 400)
    refused("a prompt", lambda: client.responses.create(model="chat", prompt={"id": "pmpt_1"}), 400, "'prompt'")
    behind = client.responses.create(model="held", input="made behind", background=True)
    check("in the background", behind.status in ("queued", "in_progress") and behind.output_text == "", behind)
    refused("a stranger's is not cancelled", lambda: stranger.responses.cancel(behind.id), 404, "not found")
    deadline = time.time() + 60
    while behind.status in ("queued", "in_progress") and time.time() < deadline:
        time.sleep(0.05)
        behind = client.responses.retrieve(behind.id)
    check("made in the background", behind.status == "completed" and behind.output_text == "made behind", behind)
    check("cancelled too late", client.responses.cancel(behind.id).status == "completed")
    refused("a stream in the background", lambda: client.responses.create(model="held", input="x", background=True, stream=True), 400, "stream")
    refused("background without a store", lambda: client.responses.create(model="held", input="x", background=True, store=False), 400, "store")
    shorter = client.responses.compact(model="held", input="one two three", previous_response_id=after.id)
    check("compacted", [item.type for item in shorter.output][-1] == "compaction" and shorter.usage.input_tokens == 3 + 10 + 3, shorter)
    refused("nothing is compacted elsewhere", lambda: client.responses.compact(model="chat", input="x"), 400, "compact")
    refused("a stranger's is not compacted", lambda: stranger.responses.compact(model="held", previous_response_id=after.id), 404, "not found")
    with open(state_file, "w", encoding="utf-8") as file:
        json.dump(known, file)
else:
    with open(state_file, encoding="utf-8") as file:
        known = json.load(file)
    for model in models:
        id = known[model]
        check(f"{model}: after the restart", client.responses.retrieve(id).output_text == "four")
        more = client.responses.create(model=model, input="later", previous_response_id=id)
        check(f"{model}: continued after the restart", more.usage.input_tokens == 3 + 8 + 1, more)
        refused(f"{model}: a stranger after the restart", lambda: stranger.responses.retrieve(id), 404)
finish()
