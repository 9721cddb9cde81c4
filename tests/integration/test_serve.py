"""`dfastllm serve` as a user starts it: the built-in model, KServe's protocols, real numbers."""

from support.process import running


def test_the_built_in_model_is_served_to_clients_of_openai_and_of_kserve() -> None:
    with running("--log-format", "json", command="dfastllm serve builtin:tiny") as server:
        assert server.client.get("/health").json()["models"] == ["tiny"]
        chat = {"model": "tiny", "messages": [{"role": "user", "content": "Hello"}]}
        answer = server.client.post("/openai/v1/chat/completions", json=chat | {"max_tokens": 16})
        assert answer.status_code == 200
        used = answer.json()["usage"]["completion_tokens"]
        assert 1 <= used <= 16
        numbers = server.client.get("/metrics").text.splitlines()
        labels = 'engine="0",model_name="tiny"'
        assert f"vllm:generation_tokens_total{{{labels}}} {used}.0" in numbers
        body = {"instances": ["Hello", {"prompt": "Hi", "max_tokens": 4}]}
        assert (
            len(server.client.post("/v1/models/tiny:predict", json=body).json()["predictions"]) == 2
        )
        server.signal()
        assert server.wait() == 0
