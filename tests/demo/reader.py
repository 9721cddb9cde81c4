"""An answer as OpenAI's client streams it: what a user would write."""

from collections.abc import Iterator

import httpx2
import openai


def stream(url: str, model: str, question: str) -> Iterator[str]:
    """Its text, part by part."""
    plain = httpx2.Client(trust_env=False)  # no proxy of the machine's
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", http_client=plain) as client:
        chunks = client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": question}], stream=True
        )
        for chunk in chunks:
            for choice in chunk.choices:
                yield choice.delta.content or ""
