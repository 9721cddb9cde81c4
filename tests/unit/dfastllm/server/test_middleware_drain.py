from support.served import TEXT, Served

PATH = "/v1/completions"


def test_before_the_model_is_there_work_is_refused() -> None:
    served = Served(ready=False)
    refused = served.client.post(PATH, json=TEXT)
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.json()["error"]["type"] == "service_unavailable_error"
    assert served.client.get("/v1/models").status_code == 503
    assert served.client.get("/health/live").status_code == 200
    assert served.client.get("/health/ready").status_code == 503


def test_while_draining_work_is_refused_and_connections_closed() -> None:
    served = Served()
    served.lifecycle.begin_drain()
    refused = served.client.post(PATH, json=TEXT)
    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "1"
    assert refused.headers["connection"] == "close"
    assert served.client.get("/health/ready").json() == {"ready": False, "status": "draining"}
    assert served.client.get("/health/live").status_code == 200
    assert served.client.get("/v1/models").status_code == 200


def test_work_is_counted_while_it_lasts() -> None:
    served = Served()
    assert served.client.get("/health").json()["working_requests"] == 0
    with served.lifecycle.working(), served.lifecycle.working():
        assert served.client.get("/health").json()["working_requests"] == 2
    served.client.post(PATH, json={**TEXT, "stream": True})
    assert served.lifecycle.working_requests == 0
