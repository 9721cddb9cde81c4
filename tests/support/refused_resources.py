"""Specs of DFastLLMService, one against each rule, and what it is refused with."""

from support.custom_resources import KEDA, QUERY, TINY, Json

REFUSED: dict[str, tuple[Json, str]] = {
    "a strategy that does not exist yet": (
        {**TINY, "rollout": {"strategy": "BlueGreen"}},
        "BlueGreen does not exist yet",
    ),
    "mirrored traffic": (
        {**TINY, "rollout": {"steps": [{"weight": 5, "mirror": 10}]}},
        "traffic mirroring does not exist yet",
    ),
    "steps that fall": (
        {**TINY, "rollout": {"steps": [{"weight": 50}, {"weight": 10}]}},
        "the weights of rollout.steps must ascend",
    ),
    "a gateway is given no time": (
        {**TINY, "rollout": {"scaleDownDelay": "4s"}},
        "rollout.scaleDownDelay must be at least 5s",
    ),
    "a drain longer than the grace period": (
        {**TINY, "rollout": {"drain": {"timeout": "61s"}}},
        "rollout.drain.timeout must not exceed terminationGracePeriodSeconds",
    ),
    "looks without a pause": (
        {**TINY, "rollout": {"analysis": {"interval": "0s"}}},
        "rollout.analysis.interval must be at least 1s",
    ),
    "prometheus without an address": (
        {**TINY, "rollout": {"analysis": {"source": "prometheus"}}},
        "rollout.analysis.source prometheus needs serverAddress",
    ),
    "an address that nobody asks": (
        {**TINY, "rollout": {"analysis": {"serverAddress": "http://prometheus:9090"}}},
        "rollout.analysis.serverAddress is used with source prometheus only",
    ),
    "a metric without a bound": (
        {**TINY, "rollout": {"analysis": {"metrics": [{"name": "latencyP95"}]}}},
        "a metric of rollout.analysis needs a bound",
    ),
    "a least latency": (
        {**TINY, "rollout": {"analysis": {"metrics": [{"name": "latencyP95", "min": 1}]}}},
        "min is for metrics of which more is better",
    ),
    "a most of what is good": (
        {**TINY, "rollout": {"analysis": {"metrics": [{"name": "tokensPerForward", "max": 1}]}}},
        "max is for metrics of which less is better",
    ),
    "restarts of stable": (
        {**TINY, "rollout": {"analysis": {"metrics": [{"name": "restarts", "maxRegression": 1}]}}},
        "metric restarts is not compared with stable",
    ),
    "nothing is worse": (
        {
            **TINY,
            "rollout": {
                "analysis": {"metrics": [{"name": "tokensPerForward", "maxRegression": 100}]}
            },
        },
        "must be below 100 percent",
    ),
    "scheme": ({"model": {"uri": "ftp://host/model"}}, "must begin with hf://"),
    "builtin": ({"model": {"uri": "builtin://large"}}, "model.uri: built in are builtin://smol"),
    "hub revision in the uri": ({"model": {"uri": "hf://a/b:main"}}, "write hf://OWNER/NAME"),
    "claim": ({"model": {"uri": "pvc:///path"}}, "write pvc://CLAIM/PATH"),
    "bucket": ({"model": {"uri": "s3://bucket"}}, "write s3://BUCKET/PATH"),
    "image model": ({"model": {"uri": "oci://name"}}, "write oci://REGISTRY/NAME:TAG"),
    "archive": ({"model": {"uri": "https://host"}}, "write https://HOST/PATH"),
    "revision of a bucket": (
        {"model": {"uri": "s3://b/p", "revision": "v1"}},
        "model.revision belongs to hf:// models",
    ),
    "secret of a claim": (
        {"model": {"uri": "pvc://c/p", "storageSecretRef": {"name": "s"}}},
        "model.storageSecretRef is used for",
    ),
    "verifier of two kinds": (
        {"model": {"uri": "hf://a/b", "verifier": {"uri": "hf://a/c", "name": "self"}}},
        "model.verifier has either uri",
    ),
    "verifier of no kind": (
        {"model": {"uri": "hf://a/b", "verifier": {}}},
        "model.verifier has either uri",
    ),
    "size of no verifier": (
        {"model": {"uri": "hf://a/b", "verifier": {"name": "none", "size": {"parameters": 1}}}},
        "model.verifier.size belongs to model.verifier.uri",
    ),
    "scheme of a verifier": (
        {"model": {"uri": "hf://a/b", "verifier": {"uri": "a/c"}}},
        "model.verifier.uri must begin with hf://",
    ),
    "model as a built-in verifier": (
        {"model": {"uri": "hf://a/b", "verifier": {"uri": "builtin://smol"}}},
        "model.verifier.uri: built in are builtin://tiny-verifier",
    ),
    "verifier as a model": (
        {"model": {"uri": "builtin://tiny-verifier"}},
        "model.uri: built in are builtin://smol",
    ),
    "hub revision in a verifier's uri": (
        {"model": {"uri": "hf://a/b", "verifier": {"uri": "hf://a/c@main"}}},
        "write hf://OWNER/NAME; a branch, tag or commit goes into model.verifier.revision",
    ),
    "revision of a verifier's bucket": (
        {"model": {"uri": "hf://a/b", "verifier": {"uri": "s3://b/p", "revision": "v1"}}},
        "model.verifier.revision belongs to hf:// models",
    ),
    "revision of no verifier": (
        {"model": {"uri": "hf://a/b", "verifier": {"name": "self", "revision": "v1"}}},
        "model.verifier.revision belongs to hf:// models",
    ),
    "secret of claims": (
        {
            "model": {
                "uri": "pvc://c/p",
                "verifier": {"uri": "pvc://c/v"},
                "storageSecretRef": {"name": "s"},
            }
        },
        "model.storageSecretRef is used for",
    ),
    "apd without a verifier": (
        {"model": {"uri": "hf://a/b"}, "decoding": {"strategy": "apd"}},
        "decoding.strategy apd needs a verifier",
    ),
    "apd with the built-in verifier left out": (
        {
            "model": {"uri": "builtin://tiny", "verifier": {"name": "none"}},
            "decoding": {"strategy": "apd"},
        },
        "decoding.strategy apd needs a verifier",
    ),
    "built-in model that verifies itself": (
        {"model": {"uri": "builtin://smol", "verifier": {"name": "self"}}},
        "model.verifier.name self needs a model of Dream's layout",
    ),
    "strategy not allowed": (
        {**TINY, "decoding": {"strategy": "fixed", "allowedStrategies": ["factor"]}},
        "decoding.strategy must be among",
    ),
    "cache not allowed": (
        {**TINY, "decoding": {"cache": "dual", "allowedCaches": ["none"]}},
        "decoding.cache must be among",
    ),
    "weight over its limit": (
        {**TINY, "decoding": {"r": 0.9, "maxR": 0.8}},
        "decoding.r must not exceed decoding.maxR",
    ),
    "window over its limit": (
        {**TINY, "decoding": {"window": 17, "maxWindow": 16}},
        "decoding.window must not exceed decoding.maxWindow",
    ),
    "look-ahead over its limit": (
        {**TINY, "decoding": {"lookahead": 65, "maxLookahead": 64}},
        "decoding.lookahead must not exceed decoding.maxLookahead",
    ),
    "block too long": (
        {**TINY, "decoding": {"blockLength": 512}},
        "decoding.blockLength must not exceed",
    ),
    "proxy with host bits": (
        {**TINY, "server": {"trustedProxies": ["10.0.0.1/8"]}},
        "server.trustedProxies holds addresses or networks",
    ),
    "product without count": (
        {**TINY, "resources": {"gpu": {"product": "NVIDIA-L4"}}},
        "resources.gpu.product needs resources.gpu.count",
    ),
    "resource name": (
        {**TINY, "resources": {"limits": {"-cpu": "1"}}},
        "names of resources are NAME or PREFIX/NAME",
    ),
    "request over limit": (
        {**TINY, "resources": {"requests": {"cpu": "1500m"}, "limits": {"cpu": 1}}},
        "resources.requests must not exceed resources.limits",
    ),
    "gpu among the limits": (
        {**TINY, "resources": {"limits": {"nvidia.com/gpu": 1}}},
        "GPUs are asked for in resources.gpu.count",
    ),
    "two values": (
        {
            **TINY,
            "env": [{"name": "A", "value": "1", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}],
        },
        "a variable has either value or valueFrom",
    ),
    "more GPUs than one": (
        {**TINY, "resources": {"gpu": {"count": 2}}},
        "resources.gpu.count is 0 or 1",
    ),
    "max without a scaler": (
        {**TINY, "replicas": {"min": 1, "max": 3}},
        "replicas.max is for a scaler",
    ),
    "min beside an external scaler": (
        {**TINY, "replicas": {"min": 2}, "autoscaling": {"type": "external"}},
        "with autoscaling.type external somebody else sets the replicas",
    ),
    "reserved variable": (
        {**TINY, "env": [{"name": "DFASTLLM_CONFIG", "value": "/x"}]},
        "this variable is set by the operator or by KServe",
    ),
    "variable with a template": (
        {**TINY, "env": [{"name": "A", "value": "{{ .Name }}"}]},
        "a value must not contain {{",
    ),
    "value from nowhere": (
        {**TINY, "env": [{"name": "A", "valueFrom": {}}]},
        "valueFrom takes exactly one of",
    ),
    "exists with a value": (
        {**TINY, "tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]},
        "operator Exists takes no value",
    ),
    "toleration of nothing": (
        {**TINY, "tolerations": [{"value": "b"}]},
        "a toleration without a key needs operator Exists",
    ),
    "seconds without effect": (
        {**TINY, "tolerations": [{"key": "a", "tolerationSeconds": 5}]},
        "tolerationSeconds needs effect NoExecute",
    ),
    "domains without force": (
        {**TINY, "topologySpreadConstraints": [{"topologyKey": "zone", "minDomains": 2}]},
        "minDomains needs whenUnsatisfiable",
    ),
    "volume without source": (
        {**TINY, "volumes": [{"name": "a", "mountPath": "/a"}]},
        "a volume has exactly one of",
    ),
    "volume with two sources": (
        {
            **TINY,
            "volumes": [{"name": "a", "mountPath": "/a", "emptyDir": {}, "secret": {"name": "s"}}],
        },
        "a volume has exactly one of",
    ),
    "reserved path": (
        {**TINY, "volumes": [{"name": "a", "mountPath": "/mnt/models/x", "emptyDir": {}}]},
        "/mnt/models, /etc/dfastllm, /etc/dfastllm-keys and /dev/shm are mounted",
    ),
    "reserved volume": (
        {**TINY, "volumes": [{"name": "kserve-x", "mountPath": "/a", "emptyDir": {}}]},
        "names that begin with dfastllm- or kserve-",
    ),
    "path upwards": (
        {
            **TINY,
            "volumes": [{"name": "a", "mountPath": "/a", "subPath": "b/..", "emptyDir": {}}],
        },
        "subPath must not contain ..",
    ),
    "one path twice": (
        {
            **TINY,
            "volumes": [
                {"name": "a", "mountPath": "/a", "emptyDir": {}},
                {"name": "b", "mountPath": "/a", "emptyDir": {}},
            ],
        },
        "two volumes have the same mountPath",
    ),
    "min over max": (
        {**TINY, "replicas": {"min": 3, "max": 2}},
        "replicas.min must not exceed replicas.max",
    ),
    "scaler without max": (
        {**TINY, "autoscaling": {"type": "hpa", "metric": "cpu"}},
        "autoscaling.type hpa and keda need replicas.max",
    ),
    "hpa from zero": (
        {**TINY, "autoscaling": {"type": "hpa"}, "replicas": {"min": 0, "max": 2}},
        "a HorizontalPodAutoscaler cannot start from 0",
    ),
    "keda without Prometheus": (
        {**TINY, "autoscaling": {"type": "keda"}, "replicas": {"max": 2}},
        "autoscaling.type keda needs autoscaling.keda.serverAddress",
    ),
    "keda settings for hpa": (
        {**TINY, "autoscaling": {"type": "hpa", "keda": KEDA}, "replicas": {"max": 2}},
        "autoscaling.keda is used with autoscaling.type keda only",
    ),
    "query and cpu": (
        {
            **TINY,
            "autoscaling": {"type": "keda", "metric": "cpu", "keda": QUERY},
            "replicas": {"max": 2},
        },
        "autoscaling.keda.query replaces the metric",
    ),
    "keda from zero without query": (
        {
            **TINY,
            "autoscaling": {"type": "keda", "keda": KEDA},
            "replicas": {"min": 0, "max": 2},
        },
        "with replicas.min 0 no pod is left",
    ),
    "fallback over max": (
        {
            **TINY,
            "autoscaling": {"type": "keda", "keda": {**KEDA, "fallbackReplicas": 3}},
            "replicas": {"max": 2},
        },
        "fallbackReplicas must not exceed replicas.max",
    ),
    "more than all of the cpu": (
        {**TINY, "autoscaling": {"metric": "cpu", "target": 120}},
        "autoscaling.target is a percentage",
    ),
    "stabilization too long": (
        {**TINY, "autoscaling": {"scaleDownStabilization": "61m"}},
        "autoscaling.scaleDownStabilization must not exceed 1h",
    ),
    "polling without pause": (
        {
            **TINY,
            "autoscaling": {"type": "keda", "keda": {**KEDA, "pollingInterval": "0s"}},
            "replicas": {"max": 2},
        },
        "keda.pollingInterval must be at least 1s",
    ),
    "no time for a request": ({**TINY, "ingress": {"timeout": "0s"}}, "ingress.timeout must be"),
    "no time to start": ({**TINY, "startupTimeout": "9s"}, "startupTimeout must be at least 10s"),
    "scraping without pause": (
        {**TINY, "monitoring": {"interval": "0m"}},
        "monitoring.interval must be at least 1s",
    ),
    "key of a monitor's label": (
        {**TINY, "monitoring": {"labels": {"a b": "c"}}},
        "keys of monitoring.labels are",
    ),
    "peer of both kinds": (
        {**TINY, "networkPolicy": {"from": [{"cidr": "10.0.0.0/8", "podLabels": {}}]}},
        "write either cidr, or namespaceLabels and podLabels",
    ),
    "peer of no kind": (
        {**TINY, "networkPolicy": {"from": [{}]}},
        "write either cidr, or namespaceLabels and podLabels",
    ),
    "network with host bits": (
        {**TINY, "networkPolicy": {"from": [{"cidr": "10.0.0.1/8"}]}},
        "cidr must be a network without host bits",
    ),
    "key of a namespace's label": (
        {**TINY, "networkPolicy": {"from": [{"namespaceLabels": {"/a": "b"}}]}},
        "keys of namespaceLabels are",
    ),
    "key of a peer's label": (
        {**TINY, "networkPolicy": {"from": [{"podLabels": {"": "b"}}]}},
        "keys of podLabels are",
    ),
    "label of the operator": (
        {**TINY, "podLabels": {"serving.kserve.io/x": "a"}},
        "podLabels must not set labels of the operator",
    ),
    "annotation of the operator": (
        {**TINY, "podAnnotations": {"serving.kserve.io/stop": "true"}},
        "podAnnotations must not set dfastllm.io/",
    ),
    "key of a pod's label": ({**TINY, "podLabels": {"a/b/c": "d"}}, "keys of podLabels are"),
    "key of an annotation": (
        {**TINY, "podAnnotations": {"a b": "c"}},
        "keys of podAnnotations are",
    ),
    "key of a node's label": ({**TINY, "nodeSelector": {"é": "c"}}, "keys of nodeSelector are"),
}
"""Case to a spec that breaks one rule and the beginning of what is said about it."""
