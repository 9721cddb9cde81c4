"""The demo's port: where it leads, and what is said if somebody else has it."""

import socket

import pytest
import yaml

from demo import door


def test_everything_goes_to_the_gateway_by_the_services_name() -> None:
    http = yaml.safe_load(door.routes(8080, "tiny-default.example.com", "198.19.0.1:80"))["http"]
    (router,) = http["routers"].values()
    assert router["rule"] == "PathPrefix(`/`)"
    (middleware,) = router["middlewares"]
    headers = http["middlewares"][middleware]["headers"]["customRequestHeaders"]
    assert headers == {"Host": "tiny-default.example.com"}
    servers = http["services"][router["service"]]["loadBalancer"]["servers"]
    assert servers == [{"url": "http://198.19.0.1:80"}]


def test_another_port_or_service_is_another_file() -> None:
    files = {door.routes(p, h, "198.19.0.1:80") for p in (8080, 8081) for h in ("a", "b")}
    assert len(files) == 4


def test_a_port_that_somebody_has_is_named_with_the_way_out() -> None:
    with socket.socket() as other:
        other.bind((door.HOST, 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(door.Taken, match=rf"127\.0\.0\.1:{port}: .* make demo PORT="):
            door.require_free(port)
