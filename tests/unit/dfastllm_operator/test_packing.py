import json

from hypothesis import given
from hypothesis import strategies as st

from dfastllm_operator.kinds import CONFIG_MAP, ENDPOINT_SLICE, SERVICE
from dfastllm_operator.packing import LONGEST_SAMPLE, Packing
from support.scripted_api import made

TEXT = st.text(max_size=40)
DATA = st.dictionaries(TEXT, TEXT, max_size=5)


@given(st.lists(DATA, min_size=1, max_size=5))
def test_what_was_packed_is_what_is_unpacked(bodies: list[dict[str, str]]) -> None:
    packing = Packing()
    objects = [made(str(n), data=body) for n, body in enumerate(bodies)]
    packed = [packing.pack(CONFIG_MAP, obj) for obj in objects]
    assert [packing.unpack(CONFIG_MAP, one) for one in packed] == objects


def test_objects_that_resemble_one_another_take_little() -> None:
    packing = Packing()
    rendered = {"spec": {f"field{n}": f"value{n * n}" for n in range(100)}}
    packing.pack(SERVICE, made("first") | rendered)
    second = made("second") | rendered
    assert len(packing.pack(SERVICE, second)) < len(json.dumps(second)) / 8


def test_a_sample_that_is_too_long_is_cut() -> None:
    packing = Packing()
    long = made("long", annotations={str(n): str(n) * 50 for n in range(2 * LONGEST_SAMPLE // 50)})
    assert packing.unpack(CONFIG_MAP, packing.pack(CONFIG_MAP, long)) == long


def test_each_kind_has_its_own_sample() -> None:
    packing = Packing()
    one, other = made("a") | {"x": 1}, made("b") | {"y": 2}
    packed = packing.pack(SERVICE, one), packing.pack(CONFIG_MAP, other)
    assert packing.unpack(SERVICE, packed[0]) == one
    assert packing.unpack(CONFIG_MAP, packed[1]) == other


def test_of_endpoints_only_their_conditions_are_kept() -> None:
    packing = Packing()
    endpoint = {
        "addresses": ["10.0.0.7"],
        "conditions": {"ready": True, "serving": True, "terminating": False},
        "nodeName": "gpu-1",
        "targetRef": {"kind": "Pod", "name": "demo-a-predictor-x"},
    }
    slice_ = made("demo-a-predictor-k2p") | {
        "addressType": "IPv4",
        "ports": [{"port": 8080}],
        "endpoints": [endpoint],
    }
    kept = packing.unpack(ENDPOINT_SLICE, packing.pack(ENDPOINT_SLICE, slice_))
    assert kept["endpoints"] == [{"conditions": endpoint["conditions"]}]
    assert "ports" not in kept
    assert kept["metadata"] == slice_["metadata"]
