"""Checkpoints in the published layout on a volume: token ids are those of the published loops."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from e2e import volumes
from e2e.clients import Endpoint
from e2e.report import Story
from e2e.services import ON_CPU, ONE_THREAD, Services
from e2e.site import Site

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
FAMILIES = {"llada": 36, "dream": 11}  # runs whose rules are served
REMASKING = {"topk_margin": "topk_margin", "entropy": "entropy"}


@pytest.fixture(scope="module")
def claim(services: Services, the_site: Site) -> Iterator[str]:
    """Of a volume with both checkpoints, which lies in a folder of the cluster's on all nodes."""
    if the_site.standing is None:
        pytest.skip("writes a volume's files on the nodes: only on a cluster of the tests' own")
    with volumes.claim(services, the_site.standing) as name:
        yield name


def same_rules(case: Mapping[str, Any]) -> bool:
    """Whether a run follows rules that are served, or comes out the same by them.

    Left out are Fast-dLLM's block loop for Dream, which commits a block's first token whatever its
    confidence; and one of Dream's own loop with as many steps as tokens. That rounds its quota
    down: it commits nothing in the first step and two tokens in the last, where a served answer
    gets one in each. Of six runs of that kind, this is the one that has another token for it.
    """
    rounded = case.get("alg") == "entropy" and case["steps"] == case["gen_length"]
    return case.get("mode") != "block" and not (rounded and len(case["prompt"]) == 5)


def body_of(case: Mapping[str, Any]) -> dict[str, Any]:
    """A run of `generate.json` as a request for a completion."""
    threshold = case.get("threshold")
    fixed = {"steps": case.get("steps"), "remasking": REMASKING.get(case.get("alg", ""))}
    rule = {"strategy": "fixed", **fixed} if threshold is None else {"threshold": threshold}
    diffusion = {
        "block_length": case.get("block_length", case["gen_length"]),
        "cache": case.get("cache", "none"),
        **{name: value for name, value in rule.items() if value is not None},
    }
    return {
        "prompt": case["prompt"],
        "max_tokens": case["gen_length"],
        "temperature": 0,
        "top_k": 50 if "mode" in case else 0,  # what Dream's loop took over from transformers
        "ignore_eos": True,
        "return_token_ids": True,
        "diffusion": diffusion,
    }


@pytest.mark.parametrize("family", FAMILIES)
def test_a_mounted_checkpoint_gives_the_published_token_ids(
    services: Services, claim: str, story: Story, family: str
) -> None:
    services.put(
        family,
        model={"uri": f"pvc://{claim}/{family}", "format": family, "size": volumes.SIZES[family]},
        engine={**ONE_THREAD, "dtype": "float32"},  # as the vectors were computed
        resources=ON_CPU,
    )
    services.ready(family)
    endpoint = services.endpoint(family)
    runs = json.loads((volumes.VECTORS / f"{family}-tiny" / "generate.json").read_text())
    chosen = [run for run in runs if same_rules(run)]
    assert len(chosen) == FAMILIES[family]
    different = [run for run in chosen if completed(endpoint, family, run) != run["output"]]
    assert not different
    speaks(endpoint, family)
    story.requests += len(chosen) + 1
    services.delete(family)


def completed(endpoint: Endpoint, model: str, run: Mapping[str, Any]) -> list[int]:
    with endpoint.http() as client:
        answer = client.post("/v1/completions", json={"model": model, **body_of(run)})
        assert answer.status_code == 200, answer.text
        return list(answer.json()["choices"][0]["token_ids"])


def speaks(endpoint: Endpoint, model: str) -> None:
    """Nonsense, as its weights are random; but by the chat template, and as text."""
    with endpoint.openai() as client:
        hello: Any = [{"role": "user", "content": "Hello"}]
        answer = client.chat.completions.create(model=model, messages=hello, max_tokens=8)
        assert answer.usage is not None
        assert 1 <= answer.usage.completion_tokens <= 8
