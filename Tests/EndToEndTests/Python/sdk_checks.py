"""The official OpenAI SDK against a running gateway. Exits non-zero at the first thing that is not as it should be.

    sdk_checks.py BASE_URL KEY POOR_KEY
"""
import sys

import openai
from openai import OpenAI

from checks import check, finish

base, key, poor_key = sys.argv[1:4]
client = OpenAI(base_url=base + "/v1", api_key=key, max_retries=0)


def raises(name, kind, call, status, code=None):
    try:
        call()
    except kind as error:
        check(name, error.status_code == status and (code is None or error.code == code), repr(error))
        check(name + " has a request id", error.request_id is not None, repr(error))
        return
    check(name, False, "no error")


hello = [{"role": "user", "content": "one two three four"}]

answer = client.chat.completions.create(model="sim/cheap", messages=hello)
check("chat", answer.choices[0].message.content == "one two three four", answer)
check("chat usage", answer.usage.prompt_tokens == 7 and answer.usage.completion_tokens == 4, answer.usage)
# 7 × 0.15 + 4 × 0.60 dollars per million = 3.45 micro-dollars
check("our charge in usage.cost", answer.usage.model_dump()["cost"] == 0.00000345, answer.usage)

text, usages, chunks = "", [], 0
for chunk in client.chat.completions.create(model="sim/cheap", messages=hello, stream=True):
    chunks += 1
    if chunk.usage:
        usages.append(chunk.usage)
    if chunk.choices and chunk.choices[0].delta.content:
        text += chunk.choices[0].delta.content
check("stream", text == "one two three four", text)
check("usage chunk is not shown unasked", not usages, usages)

usages, empty = [], 0
for chunk in client.chat.completions.create(
        model="sim/cheap", messages=hello, stream=True, stream_options={"include_usage": True}):
    if chunk.usage:
        usages.append(chunk.usage)
        empty += not chunk.choices
check("stream with usage", len(usages) == 1 and empty == 1 and usages[0].completion_tokens == 4, usages)

tool = {"type": "function", "function": {"name": "weather", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}, "required": ["city"]}}}
answer = client.chat.completions.create(model="sim/cheap", messages=hello, tools=[tool])
call = answer.choices[0].message.tool_calls[0]
check("tools", call.function.name == "weather" and '"city"' in call.function.arguments, call)
arguments = ""
for chunk in client.chat.completions.create(model="sim/cheap", messages=hello, tools=[tool], stream=True):
    for piece in (chunk.choices[0].delta.tool_calls or []) if chunk.choices else []:
        arguments += piece.function.arguments or ""
check("tools streamed", arguments == call.function.arguments, arguments)

schema = {"type": "json_schema", "json_schema": {"name": "s", "schema": {
    "type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}}}}
answer = client.chat.completions.create(model="sim/cheap", messages=hello, response_format=schema)
check("structured output", answer.choices[0].message.content == '{"name":"text","age":1}', answer)

parts = [{"type": "text", "text": "what is this"},
         {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}]
answer = client.chat.completions.create(model="sim/cheap", messages=[{"role": "user", "content": parts}])
check("image parts", answer.usage.prompt_tokens == 106 and answer.choices[0].message.content == "what is this", answer)

result = client.embeddings.create(model="sim/embed", input=["a b", "c"], dimensions=4)
check("embeddings", len(result.data) == 2 and len(result.data[0].embedding) == 4, result)
result = client.embeddings.create(model="sim/embed", input="a b", encoding_format="float")
check("embeddings as floats", len(result.data[0].embedding) == 8, result)

answer = client.completions.create(model="sim/cheap", prompt="say this")
check("completions", answer.choices[0].text == "say this", answer)

result = client.images.generate(model="sim/image", prompt="a cat", n=2)
check("images", len(result.data) == 2 and result.data[0].url.startswith("https://"), result)
result = client.images.generate(
    model="sim/image-tokens", prompt="a cat", response_format="b64_json", extra_body={"sim_control": "tokens,image_bytes=4000000"})
check("images of megabytes, by tokens", len(result.data[0].b64_json) == 4000000 and result.usage.output_tokens == 10, result.usage)
types = [event.type for event in client.images.generate(
    model="sim/image", prompt="a cat", stream=True, partial_images=2)]
def costs(model):
    return model.model_dump()["cost"]


picture = ("a.png", b"x" * 5000, "image/png")
result = client.images.edit(model="sim/image", image=picture, prompt="a hat", n=2)
check("an edited image", len(result.data) == 2 and result.data[0].url.startswith("https://"), result)
result = client.images.edit(
    model="sim/edit-tokens", image=[picture, picture], mask=picture, prompt="a hat", size="1024x1024", quality="high",
    extra_body={"sim_control": "tokens,prompt_tokens=5,image_tokens=3"})
check("images edited, by tokens", result.usage.input_tokens_details.image_tokens == 3 and costs(result.usage) == 0.00044, result.usage)
edits = list(client.images.edit(
    model="sim/edit-tokens", image=picture, prompt="a hat", stream=True, partial_images=1,
    extra_body={"sim_control": "tokens,prompt_tokens=5,image_tokens=3"}))
check("an edit streamed", [event.type for event in edits] == ["image_edit.partial_image", "image_edit.completed"], edits)
check("our charge of an edit", costs(edits[-1].usage) == 0.00044, edits[-1])
check("images streamed", types == ["image_generation.partial_image"] * 2 + ["image_generation.completed"], types)

with client.audio.speech.with_streaming_response.create(
        model="sim/voice", voice="alloy", input="say this", extra_body={"sim_control": "chunks=20,chunk_bytes=50000"}) as spoken:
    data = b"".join(spoken.iter_bytes())
    check("speech streamed", len(data) == 1000000 and spoken.headers["content-type"] == "audio/mpeg", len(data))
check("speech", len(client.audio.speech.create(model="sim/voice", voice="alloy", input="say this").content) == 4000)

sound = ("a.mp3", b"x" * 16000, "audio/mpeg")
result = client.audio.transcriptions.create(model="sim/listen", file=sound)
check("transcription", result.text == "The quick brown fox." and result.usage.seconds == 8.47, result)
check("our charge of a transcription", result.usage.model_dump()["cost"] == 0.000847, result.usage)
result = client.audio.transcriptions.create(
    model="sim/listen", file=sound, response_format="verbose_json", language="en", timestamp_granularities=["segment"])
check("transcription with its length", float(result.duration) == 8.47, result)
result = client.audio.transcriptions.create(model="sim/listen", file=sound, response_format="text")
check("transcription as text", result == "The quick brown fox.\n", result)
events = list(client.audio.transcriptions.create(
    model="sim/listen-tokens", file=sound, stream=True, extra_body={"sim_control": "tokens,audio_tokens=2"}))
check("transcription streamed", events[-1].type == "transcript.text.done" and events[-1].usage.output_tokens == 10, events)
check("transcription's words", "".join(e.delta for e in events[:-1]) == "The quick brown fox.", events)

result = client.audio.translations.create(model="sim/listen", file=sound)
check("translation", result.text == "The quick brown fox." and result.model_dump()["usage"]["cost"] == 0.000847, result)
result = client.audio.translations.create(model="sim/listen", file=sound, response_format="text")
check("translation as text", result == "The quick brown fox.\n", result)

result = client.moderations.create(model="sim/moderate", input="hi")
check("moderations", result.results[0].flagged is False, result)
result = client.post("/rerank", cast_to=object, body={"model": "sim/rank", "query": "q", "documents": ["a", "b"]})
check("rerank", [entry["index"] for entry in result["results"]] == [1, 0], result)

names = [model.id for model in client.models.list()]
check("models list", "sim/cheap" in names and "sim/dear" in names, names)
check("one model", client.models.retrieve("sim/cheap").id == "sim/cheap")
check("openrouter clients' path", OpenAI(base_url=base + "/api/v1", api_key=key).models.list().data[0].id in names)

raises("401", openai.AuthenticationError,
       lambda: OpenAI(base_url=base + "/v1", api_key="sk-wrong", max_retries=0).models.list(), 401, "invalid_api_key")
raises("402", openai.APIStatusError,
       lambda: OpenAI(base_url=base + "/v1", api_key=poor_key, max_retries=0).chat.completions.create(
           model="sim/dear", messages=hello), 402, "insufficient_balance")
raises("404", openai.NotFoundError,
       lambda: client.chat.completions.create(model="no/such", messages=hello), 404, "model_not_found")
raises("400", openai.BadRequestError,
       lambda: client.chat.completions.create(model="sim/cheap", messages=hello, n="two"), 400)
raises("400 of a form without a file", openai.BadRequestError,
       lambda: client.audio.transcriptions.create(model="sim/listen", file=b""), 400)
raises("400 of the vendor", openai.BadRequestError,
       lambda: client.chat.completions.create(
           model="sim/cheap@status=400,message=bad,error_code=bad_thing", messages=hello), 400, "bad_thing")
raises("429", openai.RateLimitError,
       lambda: client.chat.completions.create(model="sim/limited@status=429,retry_after=7", messages=hello), 429)

stream = client.chat.completions.create(
    model="sim/cheap@chunks=500,pace=10ms", messages=hello, stream=True)
for chunk in stream:
    if chunk.choices and chunk.choices[0].delta.content:
        break
stream.close()
check("cancel in mid-stream", True)

try:
    for chunk in client.chat.completions.create(
            model="sim/cut@close_after=2", messages=[{"role": "user", "content": "a b c d e f"}], stream=True):
        pass
    check("a cut stream raises", False, "it looked complete")
except openai.APIError as error:
    check("a cut stream raises", True)

finish()
