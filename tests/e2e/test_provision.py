"""Which images leave the nodes: no cluster is needed to decide it."""

from e2e.provision import older


def test_images_of_an_earlier_checkout_are_older_and_those_of_others_are_not() -> None:
    first = {"localhost/dfastllm-server:1", "localhost/pause:1", "sha256:0123"}
    second = {"localhost/dfastllm-server:2", "localhost/dfastllm-operator:1"}
    now = {"server": "localhost/dfastllm-server:2", "operator": "localhost/dfastllm-operator:1"}
    assert older([first, second], now) == ["localhost/dfastllm-server:1"]
    assert older([second], now) == []
