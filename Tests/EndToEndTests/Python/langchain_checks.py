"""LangChain's chat models against a running gateway, before vendors of every family. Exits non-zero at the first thing that is not as it should be.

    langchain_checks.py BASE_URL KEY
"""
import sys

from langchain_anthropic import ChatAnthropic
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from checks import check, finish

base, key = sys.argv[1:3]


@tool
def look(place: str) -> str:
    """Looks at a place."""
    return f"nothing at {place}"


def text(message):
    return message.text if isinstance(message.text, str) else message.text()


for family in ["openai", "openrouter", "anthropic", "gemini", "cohere", "bedrock", "azure-openai"]:
    name = f"sim-{family}"
    clients = {
        "chat": ChatOpenAI(model=name, base_url=base + "/v1", api_key=key, max_retries=0, stream_usage=True),
        "responses": ChatOpenAI(model=name, base_url=base + "/v1", api_key=key, max_retries=0, use_responses_api=True),
        "messages": ChatAnthropic(model=name, base_url=base, api_key=key, max_retries=0, max_tokens=200),
    }
    for dialect, client in clients.items():
        label = f"{dialect} to {family}"
        whole = client.invoke([SystemMessage("be brief"), HumanMessage("one two three")])
        check(f"{label}: whole", text(whole) == "one two three", whole)
        check(f"{label}: usage", whole.usage_metadata["output_tokens"] == 3, whole.usage_metadata)
        pieces = [text(piece) for piece in client.stream("four five six")]
        check(f"{label}: streamed", "".join(pieces) == "four five six", pieces)
        armed = client.bind_tools([look])
        called = armed.invoke("look around")
        check(f"{label}: call of a tool", [call["name"] for call in called.tool_calls] == ["look"], called)
        check(f"{label}: arguments", called.tool_calls[0]["args"] == {"place": "text"}, called.tool_calls)
        turns = [HumanMessage("look around"), called, ToolMessage("nothing", tool_call_id=called.tool_calls[0]["id"])]
        after = client.bind_tools([look]).invoke(turns + [HumanMessage("so what")])
        check(f"{label}: after the result", isinstance(after, AIMessage), after)

finish()
