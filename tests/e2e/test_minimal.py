"""The least there can be: one small YAML, and tokens stream to OpenAI's client."""

import time
from typing import Any

import pytest

from e2e import inside, prometheus, tunnels
from e2e.clients import Endpoint, Question, ask, user
from e2e.report import Story
from e2e.services import START_S, Services
from e2e.site import Site
from e2e.tally import Outcome, Tally
from support.packaging import MANIFESTS

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
SAMPLE = (MANIFESTS / "samples" / "minimal.yaml").read_text()
SUM = Question(user("What is 27 + 48?"), "75", {})
CAPITAL = Question(user("What is the capital of France?"), "Paris", {})
TOKENS = "sum(vllm:generation_tokens_total)"


@pytest.fixture(scope="module")
def tiny(services: Services) -> Endpoint:
    services.apply(SAMPLE)
    services.ready("tiny")
    return services.endpoint("tiny")


def right(asked: Any) -> Tally:
    """One answer, which must be in full and right."""
    assert asked.outcome is Outcome.FINISHED, asked
    assert not asked.wrong, asked
    tally = Tally()
    tally.add(asked)
    return tally


def test_one_small_yaml_ends_in_tokens_through_the_gateway(
    services: Services, story: Story
) -> None:
    began = time.monotonic()
    services.apply(SAMPLE)
    wait = ("--for=condition=Ready", f"--timeout={START_S:.0f}s")
    services.run("wait", "dfs/tiny", *wait, timeout_s=START_S + 10)
    story.measured(ready_s=time.monotonic() - began)
    endpoint = services.endpoint("tiny")
    with endpoint.openai() as client:
        story.saw(right(ask(client, "tiny", SUM)))
    story.measured(answered_s=time.monotonic() - began)


@pytest.mark.parametrize("base", ["/v1", "/openai/v1"])
def test_both_bases_of_the_api_lead_to_the_service(tiny: Endpoint, story: Story, base: str) -> None:
    with tiny.openai(base=base) as client:
        assert [model.id for model in client.models.list()] == ["tiny"]
        story.saw(right(ask(client, "tiny", SUM)))


def test_a_pod_streams_from_the_address_inside_the_cluster(
    services: Services, the_site: Site, tiny: Endpoint, story: Story
) -> None:
    address = services.get("tiny")["status"]["address"]["url"]
    assert address.endswith(f"tiny.{services.namespace}.svc.cluster.local")
    body = {"model": "tiny", "messages": SUM.messages, "stream": True}
    url = f"{address}/v1/chat/completions"
    status, events = inside.stream(services, the_site.server_image, url, body)
    assert status == 200, events
    text = "".join(one["choices"][0]["delta"].get("content") or "" for one in events)
    assert SUM.right in text
    assert events[-1]["choices"][0]["finish_reason"] == "stop"


def test_openais_client_reaches_the_service_by_a_forwarded_port(
    services: Services, tiny: Endpoint, story: Story
) -> None:
    way = tunnels.to_service(services.kubectl, services.namespace, "tiny")
    with way as address, Endpoint(f"http://{address}").openai() as client:
        story.saw(right(ask(client, "tiny", SUM)))


def test_prometheus_counts_the_tokens_of_a_streamed_answer(
    services: Services, tiny: Endpoint, story: Story
) -> None:
    with prometheus.scraping(services) as scraped, tiny.openai() as client:
        scraped.wait("count(up == 1)", at_least=1)
        before = scraped.value(TOKENS)
        began = time.monotonic()
        used = streamed_tokens(client)
        assert used > 0
        assert scraped.wait(TOKENS, at_least=before + used) == before + used
        story.measured(tokens=used, counted_s=time.monotonic() - began)
    story.requests += 1


def streamed_tokens(client: Any) -> int:
    """Of one answer, as its stream says at the end."""
    create, options = client.chat.completions.create, {"include_usage": True}
    with create(model="tiny", messages=SUM.messages, stream=True, stream_options=options) as stream:
        return int(next(chunk.usage for chunk in stream if chunk.usage).completion_tokens)


def test_smol_speaks_english_by_adaptive_parallel_decoding(
    services: Services, story: Story
) -> None:
    began = time.monotonic()
    services.put(
        "smol",
        model={"uri": "builtin://smol"},
        decoding={"strategy": "apd", "r": 0.5},
        engine={"maxRunningRequests": 2},
        resources={"requests": {"cpu": "500m"}},
    )
    services.ready("smol")
    story.measured(ready_s=time.monotonic() - began)
    with services.endpoint("smol").openai() as client:
        story.saw(right(ask(client, "smol", CAPITAL)))
        create: Any = client.chat.completions.create
        report = create(model="smol", messages=CAPITAL.messages).model_extra["diffusion"]
    assert report["strategy"] == "apd"
    assert report["verifier_passes"] >= 1
    story.measured(tokens_per_forward=report["tokens_per_forward"])
    services.delete("smol")
