"""The OpenAI client asks a server for chats, whole and streamed; prints what it got as JSON. Arguments: base URL, rounds.

With 0 rounds it takes half a stream and is gone.
"""

import json
import sys
import time

from openai import OpenAI

base_url, rounds = sys.argv[1], int(sys.argv[2])
client = OpenAI(base_url=base_url, api_key="none", max_retries=0, timeout=60)
ask = {"model": "mock-gpt", "messages": [{"role": "user", "content": "hi"}]}
told = []
for _ in range(rounds):
    raw = client.chat.completions.with_raw_response.create(**ask)
    whole = raw.parse()
    began = time.perf_counter()
    first, chunks, text, ids, usage = None, 0, "", set(), None
    options = {"include_usage": True}
    for chunk in client.chat.completions.create(**ask, stream=True, stream_options=options):
        chunks += 1
        ids.add(chunk.id)
        usage = chunk.usage or usage
        for choice in chunk.choices:
            piece = choice.delta.content or ""
            if piece and first is None:
                first = time.perf_counter() - began
            text += piece
    told.append(
        {
            "predictionId": raw.headers.get("x-prediction-id"),
            "wholeId": whole.id,
            "whole": whole.choices[0].message.content,
            "wholeTokens": whole.usage.completion_tokens,
            "chunks": chunks,
            "text": text,
            "ids": sorted(ids),
            "tokens": usage.completion_tokens,
            "promptTokens": usage.prompt_tokens,
            "firstSeconds": first,
        }
    )
if rounds == 0:
    leaving = client.chat.completions.create(**ask, stream=True)
    next(iter(leaving))
    leaving.close()
print(json.dumps(told))
