"""The official SDKs, each in its own dialect, against models of every family behind one gateway.

    dialect_checks.py GATEWAY_URL KEY POOR_KEY SIMULATOR_URL

Exits non-zero at the first thing that is not as it should be.
"""
import base64
import json
import sys
import urllib.error
import urllib.request

import anthropic
import openai
from google import genai
from google.genai import errors, types

from checks import check, finish

base, key, poor_key, simulator = sys.argv[1:5]
FAMILIES = ["openai", "anthropic", "gemini", "cohere", "openrouter", "azure-openai", "bedrock"]
TEXT = "one two three four"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}, "required": ["city", "days"],
          "additionalProperties": False}


def raises(name, kind, call, status):
    try:
        call()
    except kind as error:
        check(name, (error.code if isinstance(error, errors.APIError) else error.status_code) == status, repr(error))
        return error
    check(name, False, "no error")


chat = openai.OpenAI(base_url=base + "/v1", api_key=key, max_retries=0)
messages = anthropic.Anthropic(base_url=base, api_key=key, max_retries=0)
gemini = genai.Client(api_key=key, http_options={"base_url": base})


def openai_chat(family, model):
    ask = [{"role": "system", "content": "be brief"}, {"role": "user", "content": TEXT}]
    answer = chat.chat.completions.create(model=model, messages=ask, max_tokens=50)
    check(f"chat to {family}", answer.choices[0].message.content == TEXT and answer.model == model, answer)
    check(f"chat to {family}: usage", answer.usage.prompt_tokens == 9 and answer.usage.completion_tokens == 4, answer.usage)
    text, usage = "", None
    for chunk in chat.chat.completions.create(
            model=model, messages=ask, max_tokens=50, stream=True, stream_options={"include_usage": True}):
        usage = chunk.usage or usage
        if chunk.choices and chunk.choices[0].delta.content:
            text += chunk.choices[0].delta.content
    check(f"chat stream to {family}", text == TEXT, text)
    check(f"chat stream to {family}: usage", usage and usage.completion_tokens == 4, usage)
    tool = {"type": "function", "function": {"name": "weather", "description": "d", "parameters": SCHEMA}}
    call = chat.chat.completions.create(model=model, messages=ask, tools=[tool], max_tokens=50)
    made = call.choices[0].message.tool_calls
    check(f"chat tools to {family}", call.choices[0].finish_reason == "tool_calls" and made[0].function.name == "weather", call)
    check(f"chat tools to {family}: arguments", json.loads(made[0].function.arguments) == {"city": "text", "days": 1}, made)
    parts = ""
    for chunk in chat.chat.completions.create(model=model, messages=ask, tools=[tool], max_tokens=50, stream=True):
        for piece in (chunk.choices[0].delta.tool_calls or []) if chunk.choices else []:
            parts += piece.function.arguments or ""
    check(f"chat tool stream to {family}", json.loads(parts) == {"city": "text", "days": 1}, parts)
    # The next turn carries the call and its result.
    turn = ask + [
        {"role": "assistant", "tool_calls": [made[0].model_dump()]},
        {"role": "tool", "tool_call_id": made[0].id, "content": "sunny"}, {"role": "user", "content": "and then"}]
    answer = chat.chat.completions.create(model=model, messages=turn, max_tokens=50)
    check(f"chat second turn to {family}", answer.choices[0].message.content == "and then", answer)
    if family != "bedrock":  # Converse has no words for it.
        shaped = chat.chat.completions.create(
            model=model, messages=ask, max_tokens=50,
            response_format={"type": "json_schema", "json_schema": {"name": "trip", "strict": True, "schema": SCHEMA}})
        check(f"chat schema to {family}", json.loads(shaped.choices[0].message.content) == {"city": "text", "days": 1}, shaped)
    image = [{"role": "user", "content": [
        {"type": "text", "text": "look at this"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64," + PIXEL}}]}]
    seen = chat.chat.completions.create(model=model, messages=image, max_tokens=50)
    check(f"chat image to {family}", seen.choices[0].message.content == "look at this", seen)


def openai_responses(family, model):
    answer = chat.responses.create(model=model, instructions="be brief", input=TEXT, max_output_tokens=50)
    check(f"responses to {family}", answer.output_text == TEXT and answer.status == "completed", answer)
    check(f"responses to {family}: usage", answer.usage.output_tokens == 4, answer.usage)
    text, final = "", None
    for event in chat.responses.create(model=model, input=TEXT, max_output_tokens=50, stream=True):
        if event.type == "response.output_text.delta":
            text += event.delta
        if event.type == "response.completed":
            final = event.response
    check(f"responses stream to {family}", text == TEXT and final and final.output_text == TEXT, text)
    tool = {"type": "function", "name": "weather", "description": "d", "parameters": SCHEMA, "strict": True}
    call = chat.responses.create(model=model, input=TEXT, tools=[tool], max_output_tokens=50)
    made = [item for item in call.output if item.type == "function_call"]
    check(f"responses tools to {family}", made and json.loads(made[0].arguments) == {"city": "text", "days": 1}, call)


def anthropic_messages(family, model):
    ask = [{"role": "user", "content": TEXT}]
    answer = messages.messages.create(model=model, max_tokens=50, system="be brief", messages=ask)
    check(f"messages to {family}", answer.content[0].text == TEXT and answer.stop_reason == "end_turn", answer)
    check(f"messages to {family}: usage", answer.usage.input_tokens == 9 and answer.usage.output_tokens == 4, answer.usage)
    with messages.messages.stream(model=model, max_tokens=50, messages=ask) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    check(f"messages stream to {family}", text == TEXT and final.usage.output_tokens == 4, final)
    tool = {"name": "weather", "description": "d", "input_schema": SCHEMA}
    call = messages.messages.create(model=model, max_tokens=50, messages=ask, tools=[tool])
    made = [block for block in call.content if block.type == "tool_use"]
    check(f"messages tools to {family}", call.stop_reason == "tool_use" and made[0].input == {"city": "text", "days": 1}, call)
    with messages.messages.stream(model=model, max_tokens=50, messages=ask, tools=[tool]) as stream:
        final = stream.get_final_message()
    made = [block for block in final.content if block.type == "tool_use"]
    check(f"messages tool stream to {family}", made[0].input == {"city": "text", "days": 1}, final)
    turn = ask + [
        {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in made]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": made[0].id, "content": "sunny"}, {"type": "text", "text": "and then"}]}]
    answer = messages.messages.create(model=model, max_tokens=50, messages=turn, tools=[tool], tool_choice={"type": "none"}) \
        if family in ("openai", "anthropic", "openrouter", "azure-openai") else messages.messages.create(model=model, max_tokens=50, messages=turn)
    check(f"messages second turn to {family}", answer.content, answer)
    image = [{"role": "user", "content": [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}, {"type": "text", "text": "look"}]}]
    seen = messages.messages.create(model=model, max_tokens=50, messages=image)
    check(f"messages image to {family}", seen.content[0].text == "look", seen)


def google_gemini(family, model):
    def ask(contents=TEXT, **settings):
        return gemini.models.generate_content(
            model=model, contents=contents, config=types.GenerateContentConfig(max_output_tokens=50, **settings))

    def stream(**settings):
        return list(gemini.models.generate_content_stream(
            model=model, contents=TEXT, config=types.GenerateContentConfig(max_output_tokens=50, **settings)))

    answer = ask(system_instruction="be brief")
    check(f"gemini to {family}", answer.text == TEXT and answer.model_version == model, answer)
    check(f"gemini to {family}: finish", answer.candidates[0].finish_reason == types.FinishReason.STOP, answer)
    usage = answer.usage_metadata
    check(f"gemini to {family}: usage", (usage.prompt_token_count, usage.candidates_token_count) == (9, 4), usage)
    chunks = stream()
    check(f"gemini stream to {family}", "".join(chunk.text or "" for chunk in chunks) == TEXT, chunks)
    last = chunks[-1]
    check(f"gemini stream to {family}: end", last.candidates[0].finish_reason == types.FinishReason.STOP, last)
    check(f"gemini stream to {family}: usage", last.usage_metadata.candidates_token_count == 4, last)
    for declared in (
            {"parameters_json_schema": SCHEMA},
            {"parameters": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}, "days": {"type": "INTEGER"}}, "required": ["city", "days"]}}):
        tool = types.Tool(function_declarations=[types.FunctionDeclaration(name="weather", description="d", **declared)])
        call = ask(tools=[tool])
        made = call.function_calls
        check(f"gemini tools to {family}", made and made[0].name == "weather" and made[0].args == {"city": "text", "days": 1}, call)
    parts = [part for chunk in stream(tools=[tool]) for part in (chunk.candidates[0].content.parts if chunk.candidates[0].content else None) or []]
    made = [part.function_call for part in parts if part.function_call]
    check(f"gemini tool stream to {family}", len(made) == 1 and made[0].args == {"city": "text", "days": 1}, parts)
    # The next turn carries the call as it came and its result, without an id of its own.
    turn = [types.UserContent(TEXT), call.candidates[0].content, types.Content(role="user", parts=[
        types.Part.from_function_response(name="weather", response={"result": "sunny"}), types.Part(text="and then")])]
    answer = ask(turn)
    check(f"gemini second turn to {family}", answer.text == "and then", answer)
    google_schema = {
        "type": "OBJECT", "properties": {"city": {"type": "STRING"}, "days": {"type": "INTEGER"}}, "required": ["city", "days"]}
    for schema in ({"response_json_schema": SCHEMA}, {"response_schema": google_schema}) if family != "bedrock" else ():
        shaped = ask(response_mime_type="application/json", **schema)
        check(f"gemini schema to {family}", json.loads(shaped.text) == {"city": "text", "days": 1}, shaped)
    seen = ask([types.Part.from_bytes(data=base64.b64decode(PIXEL), mime_type="image/png"), "look at this"])
    check(f"gemini image to {family}", seen.text == "look at this", seen)
    # A conversation that the SDK keeps.
    session = gemini.chats.create(model=model)
    session.send_message("one two")
    check(f"gemini chat session to {family}", session.send_message("three four").text == "three four", session.get_history())
    streamed = "".join(chunk.text or "" for chunk in session.send_message_stream("five six"))
    check(f"gemini chat session to {family}: stream", streamed == "five six" and session.send_message("seven").text == "seven", streamed)


for family in FAMILIES:
    openai_chat(family, f"sim-{family}")
    openai_responses(family, f"sim-{family}")
    anthropic_messages(family, f"sim-{family}")
    google_gemini(family, f"sim-{family}")

# Pictures in an answer, from each family that has them.
def scripted(model, controls):
    urllib.request.urlopen(urllib.request.Request(
        simulator + "/_sim/script", json.dumps({"model": model, "controls": [controls]}).encode(), {"Content-Type": "application/json"}))


for family in ("openrouter", "openai", "gemini"):
    model = f"sim-{family}"
    scripted(model, "picture=QUJD")
    answer = gemini.models.generate_content(model=model, contents=TEXT)
    drawn = [part.inline_data for part in answer.candidates[0].content.parts if part.inline_data]
    check(f"gemini picture from {family}", [(part.mime_type, part.data) for part in drawn] == [("image/png", b"ABC")], answer)
    check(f"gemini picture from {family}: words", answer.text == TEXT, answer)
    scripted(model, "picture=QUJD")
    chunks = list(gemini.models.generate_content_stream(model=model, contents=TEXT))
    drawn = [part.inline_data.data for chunk in chunks for part in chunk.candidates[0].content.parts or [] if part.inline_data]
    check(f"gemini picture stream from {family}", drawn == [b"ABC"], chunks)
    scripted(model, "picture=QUJD")
    answer = chat.chat.completions.create(model=model, messages=[{"role": "user", "content": TEXT}])
    images = answer.choices[0].message.model_dump()["images"]
    check(f"chat picture from {family}", images[0]["image_url"]["url"] == "data:image/png;base64,QUJD", images)
    scripted(model, "picture=QUJD")
    deltas = [chunk.choices[0].delta.model_dump().get("images") for chunk in chat.chat.completions.create(
        model=model, messages=[{"role": "user", "content": TEXT}], stream=True) if chunk.choices]
    check(f"chat picture stream from {family}", [images[0]["image_url"]["url"] for images in deltas if images] == ["data:image/png;base64,QUJD"], deltas)
    scripted(model, "picture=QUJD")
    answer = chat.responses.create(model=model, input=TEXT)
    check(f"responses picture from {family}", [item.result for item in answer.output if item.type == "image_generation_call"] == ["QUJD"], answer)

# Errors in the dialect that is spoken.
poor = anthropic.Anthropic(base_url=base, api_key=poor_key, max_retries=0)
wrong = anthropic.Anthropic(base_url=base, api_key="sk-wrong", max_retries=0)
ask = dict(model="sim-anthropic", max_tokens=5, messages=[{"role": "user", "content": "hi"}])
error = raises("messages 401", anthropic.AuthenticationError, lambda: wrong.messages.create(**ask), 401)
check("messages 401 type", error.body["error"]["type"] == "authentication_error", error.body)
raises("messages 402", anthropic.APIStatusError, lambda: poor.messages.create(**ask), 402)
error = raises("messages 404", anthropic.NotFoundError, lambda: messages.messages.create(**{**ask, "model": "nobody"}), 404)
check("messages 404 type", error.body["type"] == "error" and error.body["error"]["type"] == "not_found_error", error.body)
raises("messages 400", anthropic.BadRequestError, lambda: messages.messages.create(**{**ask, "max_tokens": -5}), 400)
raises("responses 404", openai.NotFoundError, lambda: chat.responses.create(model="nobody", input="hi"), 404)
count = messages.messages.count_tokens(model="sim-anthropic", messages=ask["messages"])
check("count_tokens", 1 <= count.input_tokens <= 50, count)
# What a family cannot say is refused by name, never dropped.
error = raises(
    "seed to anthropic", openai.BadRequestError,
    lambda: chat.chat.completions.create(model="sim-anthropic", messages=ask["messages"], seed=7), 400)
check("seed is named", "seed" in str(error.body), error.body)

# The same in Google's dialect.
def generate(client=gemini, model="sim-anthropic", **settings):
    return client.models.generate_content(model=model, contents="hi", config=types.GenerateContentConfig(**settings))


error = raises("gemini 401", errors.ClientError, lambda: generate(genai.Client(api_key="sk-wrong", http_options={"base_url": base})), 401)
check("gemini 401 status", error.status == "UNAUTHENTICATED", error)
raises("gemini 402", errors.ClientError, lambda: generate(genai.Client(api_key=poor_key, http_options={"base_url": base})), 402)
error = raises("gemini 404", errors.ClientError, lambda: generate(model="nobody"), 404)
check("gemini 404 status", error.status == "NOT_FOUND", error)
error = raises("gemini seed to anthropic", errors.ClientError, lambda: generate(seed=7), 400)
check("gemini seed is named", "generationConfig.seed" in str(error.details) and error.status == "INVALID_ARGUMENT", error.details)
names = [model.name for model in gemini.models.list()]
check("gemini list", "models/sim-anthropic" in names and "models/deep/sim-openai" in names, names)
beta = genai.Client(api_key=key, http_options={"base_url": base, "api_version": "v1beta"})
check("gemini under v1beta", generate(beta).text == "hi" and [model.name for model in beta.models.list()] == names)
pages = gemini.models.list(config={"page_size": 2})
check("gemini list in pages", [model.name for model in pages] == names, pages)
check("gemini get", gemini.models.get(model="deep/sim-openai").name == "models/deep/sim-openai")
for name, methods in (("sim-openai", ["generateContent", "countTokens", "embedContent"]), ("sim-anthropic", ["generateContent", "countTokens"])):
    check(f"gemini methods of {name}", gemini.models.get(model=name).supported_actions == methods, gemini.models.get(model=name))
raises("gemini get 404", errors.ClientError, lambda: gemini.models.get(model="nobody"), 404)
count = gemini.models.count_tokens(model="sim-anthropic", contents="hi")
check("gemini count_tokens", count.total_tokens == 9 or 1 <= count.total_tokens <= 50, count)
check("gemini model with a slash", generate(model="deep/sim-openai").text == "hi")


made = gemini.models.embed_content(model="sim-openai", contents=["one two", "three"])
check("gemini embeddings", len(made.embeddings) == 2 and len(made.embeddings[0].values) > 0, made)
error = raises(
    "gemini embedding 400", errors.ClientError,
    lambda: gemini.models.embed_content(model="sim-openai", contents="x", config={"task_type": "RETRIEVAL_QUERY"}), 400)
check("gemini embedding names the field", "taskType" in str(error.details), error.details)
raises("gemini embedding 404", errors.ClientError, lambda: gemini.models.embed_content(model="nobody", contents="x"), 404)
raises("gemini embedding by a family without", errors.ClientError, lambda: gemini.models.embed_content(model="sim-anthropic", contents="x"), 400)


def raw(path, body=None, headers={}):
    request = urllib.request.Request(
        base + path, data=None if body is None else json.dumps(body).encode(), headers={"Content-Type": "application/json", **headers})
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, response.headers["Content-Type"], json.loads(response.read())
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Content-Type"], json.loads(error.read())


body = {"contents": [{"parts": [{"text": TEXT}]}], "generation_config": {"max_output_tokens": 50}}
for model in ("deep/sim-openai", "deep%2Fsim-openai", "sim-gemini"):
    for way in ({"path": f"?key={key}"}, {"path": "", "headers": {"x-goog-api-key": key}}, {"path": "", "headers": {"Authorization": f"Bearer {key}"}}):
        status, _, answer = raw(f"/v1beta/models/{model}:generateContent{way['path']}", body, way.get("headers", {}))
        check(f"raw {model}", status == 200 and answer["candidates"][0]["content"]["parts"][0]["text"] == TEXT, answer)
    status, kind, answer = raw(f"/v1/models/{model}:streamGenerateContent?key={key}", body)
    check(f"array of {model}", status == 200 and kind.startswith("application/json") and isinstance(answer, list), answer)
    text = "".join(part.get("text", "") for piece in answer for part in piece["candidates"][0].get("content", {}).get("parts", []))
    check(f"array of {model}: text", text == TEXT and answer[-1]["usageMetadata"]["candidatesTokenCount"] == 4, answer)
status, _, answer = raw(f"/v1beta/models/sim-openai:paint?key={key}", body)
check("gemini unknown method", status == 404 and answer["error"]["status"] == "NOT_FOUND", answer)
status, _, answer = raw("/v1beta/models", headers={})
check("gemini without a key", status == 401 and answer["error"]["status"] == "UNAUTHENTICATED", answer)
status, _, answer = raw(f"/v1/models?key={key}")
check("the query is no place for a key elsewhere", status == 401, answer)

# The simulator speaks Gemini as Google's own SDK does, so what is converted to it is converted to the real thing.
google = genai.Client(api_key="k", http_options={"base_url": simulator + "/gemini", "api_version": "v1beta"})
answer = google.models.generate_content(model="sim-gemini", contents=TEXT)
check("google-genai", answer.text == TEXT and answer.usage_metadata.candidates_token_count == 4, answer)
text = "".join(chunk.text or "" for chunk in google.models.generate_content_stream(model="sim-gemini", contents=TEXT))
check("google-genai stream", text == TEXT, text)
# And Anthropic as Anthropic's.
direct = anthropic.Anthropic(base_url=simulator + "/anthropic", api_key="k", max_retries=0)
answer = direct.messages.create(model="sim-anthropic", max_tokens=50, messages=[{"role": "user", "content": TEXT}])
check("anthropic SDK and simulator", answer.content[0].text == TEXT, answer)
finish()
