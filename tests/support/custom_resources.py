"""Specs of DFastLLMService: the least, one with every field, and one against each rule.

The same specs go to the models (unit tests) and to a real API server (integration tests).
"""

from copy import deepcopy
from typing import Any

from dfastllm_operator.kinds import SERVICE_RESOURCE

Json = dict[str, Any]

TINY: Json = {"model": {"uri": "builtin://tiny"}}

FULL: Json = {
    "model": {
        "uri": "hf://GSAI-ML/LLaDA-8B-Instruct",
        "revision": "main",
        "name": "llada",
        "format": "llada",
        "storageSecretRef": {"name": "hub-token"},
        "verifier": {
            "uri": "hf://someone/causal",
            "revision": "v1",
            "size": {
                "parameters": "500M",
                "layers": 24,
                "kvHeads": 2,
                "headDim": 64,
                "vocabSize": 126464,
                "dtype": "float16",
            },
        },
        "size": {
            "parameters": "8B",
            "layers": 32,
            "kvHeads": 32,
            "headDim": 128,
            "vocabSize": 126464,
            "dtype": "float16",
        },
    },
    "image": "registry.example.com/dfastllm/server:1",
    "decoding": {
        "preset": "fast",
        "strategy": "factor",
        "blockLength": 16,
        "threshold": 0.8,
        "factor": 2.5,
        "remasking": "entropy",
        "lookahead": 64,
        "r": 0.6,
        "window": 16,
        "cache": "dual",
        "defaultMaxTokens": 128,
        "allowedStrategies": ["factor", "threshold"],
        "allowedCaches": ["dual", "none"],
        "maxSteps": 512,
        "maxBlockLength": 128,
        "maxFactor": 8.0,
        "maxR": 0.9,
        "maxWindow": 64,
        "maxLookahead": 256,
        "minThreshold": 0.5,
    },
    "engine": {
        "maxRunningRequests": 16,
        "maxQueuedRequests": 64,
        "maxQueuedTokens": 65536,
        "maxRequestsPerKey": 4,
        "maxStepTokens": 4096,
        "kvCacheTokens": 32768,
        "memoryFraction": 0.8,
        "requestTimeoutS": 300.0,
        "maxModelLen": 4096,
        "dtype": "bfloat16",
        "numThreads": 8,
        "quantization": "none",
    },
    "server": {
        "logLevel": "debug",
        "logFormat": "json",
        "logPrompts": True,
        "corsOrigins": ["https://chat.example.com"],
        "trustedProxies": ["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"],
        "maxBodyBytes": 1048576,
    },
    "resources": {
        "gpu": {
            "count": 1,
            "product": "NVIDIA-A100-SXM4-80GB",
            "memory": "80Gi",
            "resourceName": "nvidia.com/gpu.shared",
        },
        "requests": {"cpu": "4", "memory": "32Gi"},
        "limits": {"cpu": "8", "memory": "64Gi"},
    },
    "nodeSelector": {"example.com/pool": "gpu"},
    "tolerations": [
        {"key": "dedicated", "operator": "Equal", "value": "llm", "effect": "NoSchedule"},
        {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60},
    ],
    "affinity": {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [{"key": "gpu", "operator": "Exists"}]}]
            }
        }
    },
    "topologySpreadConstraints": [
        {
            "topologyKey": "topology.kubernetes.io/zone",
            "maxSkew": 2,
            "whenUnsatisfiable": "DoNotSchedule",
            "minDomains": 2,
        }
    ],
    "priorityClassName": "serving",
    "shmSize": "2Gi",
    "terminationGracePeriodSeconds": 120,
    "startupTimeout": "1h30m",
    "runtimeClassName": "nvidia",
    "serviceAccountName": "llada",
    "imagePullSecrets": [{"name": "registry"}],
    "podLabels": {"team": "search"},
    "podAnnotations": {"example.com/note": "any text: at all"},
    "env": [
        {"name": "HF_HOME", "value": "/cache"},
        {
            "name": "TOKEN",
            "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": True}},
        },
        {
            "name": "FLAVOUR",
            "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k", "optional": True}},
        },
        {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
    ],
    "volumes": [
        {
            "name": "cache",
            "mountPath": "/cache",
            "readOnly": False,
            "emptyDir": {"medium": "Memory", "sizeLimit": 1},
        },
        {"name": "ca", "mountPath": "/etc/ca", "readOnly": True, "configMap": {"name": "ca"}},
        {"name": "terms", "mountPath": "/terms", "readOnly": True, "secret": {"name": "terms"}},
        {
            "name": "data",
            "mountPath": "/data",
            "subPath": "a/b",
            "readOnly": False,
            "persistentVolumeClaim": {"claimName": "data"},
        },
        {
            "name": "weights",
            "mountPath": "/weights",
            "readOnly": True,
            "image": {"reference": "registry.example.com/w:1", "pullPolicy": "IfNotPresent"},
        },
    ],
    "auth": {"apiKeysSecretRef": {"name": "keys"}},
    "rateLimit": {"requests": "100/minute", "tokens": "20000/hour"},
    "rollout": {
        "strategy": "Canary",
        "steps": [
            {"weight": 10, "pause": "10m", "replicas": 1},
            {"weight": 100, "pause": "forever", "replicas": "auto"},
        ],
        "analysis": {
            "source": "prometheus",
            "serverAddress": "http://prometheus.monitoring.svc:9090",
            "interval": "20s",
            "warmup": "40s",
            "minSamples": 20,
            "metrics": [
                {"name": "errorRate", "max": 0.02},
                {"name": "tokensPerForward", "min": 1.5, "maxRegression": 20},
            ],
            "failureLimit": 3,
            "errorLimit": 4,
            "inconclusiveLimit": 6,
            "onInconclusive": "Abort",
        },
        "progressDeadline": "20m",
        "scaleDownDelay": "1m",
        "drain": {"timeout": "50s"},
        "maxGPUs": 8,
        "revisionHistoryLimit": 3,
        "paused": True,
    },
    "replicas": {"min": 2, "max": 8},
    "autoscaling": {
        "type": "keda",
        "metric": "running",
        "target": 5,
        "scaleDownStabilization": "15m",
        "keda": {
            "serverAddress": "http://prometheus.monitoring.svc:9090",
            "query": 'sum(gateway_requests{service="llada"})',
            "pollingInterval": "30s",
            "cooldownPeriod": "1h",
            "fallbackReplicas": 3,
        },
    },
    "ingress": {
        "enabled": False,
        "gateway": "gateways/public",
        "hostname": "llada.example.com",
        "timeout": "20m",
    },
    "monitoring": {"enabled": True, "interval": "15s", "labels": {"release": "prometheus"}},
    "networkPolicy": {
        "enabled": True,
        "from": [
            {"namespaceLabels": {}, "podLabels": {"app": "chat"}},
            {"cidr": "10.0.0.0/8"},
        ],
    },
    "paused": True,
}
"""Every field but `model.verifier.name`, which excludes its uri, none of them at its default."""

_KEDA = {"serverAddress": "http://prometheus:9090"}
_QUERY = {**_KEDA, "query": "sum(load)"}

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
        {**TINY, "autoscaling": {"type": "hpa", "keda": _KEDA}, "replicas": {"max": 2}},
        "autoscaling.keda is used with autoscaling.type keda only",
    ),
    "query and cpu": (
        {
            **TINY,
            "autoscaling": {"type": "keda", "metric": "cpu", "keda": _QUERY},
            "replicas": {"max": 2},
        },
        "autoscaling.keda.query replaces the metric",
    ),
    "keda from zero without query": (
        {
            **TINY,
            "autoscaling": {"type": "keda", "keda": _KEDA},
            "replicas": {"min": 0, "max": 2},
        },
        "with replicas.min 0 no pod is left",
    ),
    "fallback over max": (
        {
            **TINY,
            "autoscaling": {"type": "keda", "keda": {**_KEDA, "fallbackReplicas": 3}},
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
            "autoscaling": {"type": "keda", "keda": {**_KEDA, "pollingInterval": "0s"}},
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

TAKEN: dict[str, Json] = {
    "a canary with all defaults": {**TINY, "rollout": {"strategy": "Canary"}},
    "a drain as long as the grace period": {**TINY, "rollout": {"drain": {"timeout": "60s"}}},
    "the least delay": {**TINY, "rollout": {"scaleDownDelay": "5s"}},
    "a fall of almost all": {
        **TINY,
        "rollout": {"analysis": {"metrics": [{"name": "tokensPerForward", "maxRegression": 99}]}},
    },
    "least": TINY,
    "full": FULL,
    "image by digest": {"model": {"uri": "oci://registry.example.com/m@sha256:0123"}},
    "claim without path": {"model": {"uri": "pvc://models"}},
    "archive": {"model": {"uri": "https://host/m.zip", "storageSecretRef": {"name": "s"}}},
    "size as a number": {"model": {"uri": "gs://b/p", "size": {"parameters": 135000000}}},
    "block of the greatest length": {**TINY, "decoding": {"blockLength": 256}},
    "English": {"model": {"uri": "builtin://smol"}},
    "apd with the verifier that is built in": {**TINY, "decoding": {"strategy": "apd"}},
    "apd with a verifier beside it": {
        "model": {"uri": "hf://a/b", "verifier": {"uri": "oci://registry.example.com/v:1"}},
        "decoding": {"strategy": "apd"},
    },
    "a model that verifies itself": {
        "model": {"uri": "hf://a/b", "verifier": {"name": "self"}},
        "decoding": {"strategy": "apd"},
    },
    "a built-in verifier for a model of one's own": {
        "model": {"uri": "pvc://c/p", "verifier": {"uri": "builtin://smol-verifier"}},
    },
    "secret of the verifier alone": {
        "model": {
            "uri": "pvc://c/p",
            "verifier": {"uri": "hf://a/c"},
            "storageSecretRef": {"name": "s"},
        }
    },
    "no gpu": {**TINY, "resources": {"gpu": {"count": 0}}},
    "request at the limit": {
        **TINY,
        "resources": {"requests": {"cpu": "1000m", "memory": "1Gi"}, "limits": {"cpu": 1}},
    },
    "gpu of another name": {
        **TINY,
        "resources": {
            "gpu": {"count": 1, "resourceName": "amd.com/gpu"},
            "limits": {"nvidia.com/gpu": "1", "example.com/nic": 2},
        },
    },
    "address of a proxy": {**TINY, "server": {"trustedProxies": ["10.0.0.1", "::1"]}},
    "empty value": {**TINY, "env": [{"name": "DFASTLLM_LOG_LEVEL", "value": ""}]},
    "paths beside ours": {
        **TINY,
        "volumes": [
            {"name": "a", "mountPath": "/mnt/models2", "emptyDir": {}},
            {"name": "b", "mountPath": "/etc", "emptyDir": {"medium": "Memory"}},
            {"name": "c", "mountPath": "/c", "subPath": "a..b/...", "emptyDir": {}},
        ],
    },
    "everything is tolerated": {**TINY, "tolerations": [{"operator": "Exists"}]},
    "one replica is all": {
        **TINY,
        "replicas": {"min": 1, "max": 1},
        "autoscaling": {"type": "hpa", "metric": "cpu"},
    },
    "one GPU": {**TINY, "resources": {"gpu": {"count": 1}}},
    "an external scaler": {**TINY, "autoscaling": {"type": "external"}},
    "nothing runs": {**TINY, "replicas": {"min": 0}},
    "hpa": {**TINY, "autoscaling": {"type": "hpa", "metric": "cpu"}, "replicas": {"max": 1}},
    "keda from zero": {
        **TINY,
        "autoscaling": {"type": "keda", "keda": _QUERY},
        "replicas": {"min": 0, "max": 2},
    },
    "fallback to the maximum": {
        **TINY,
        "autoscaling": {"type": "keda", "keda": {**_KEDA, "fallbackReplicas": 2}},
        "replicas": {"max": 2},
    },
    "external": {**TINY, "autoscaling": {"type": "external"}},
    "all of the cpu": {**TINY, "autoscaling": {"metric": "cpu", "target": 100}},
    "an hour": {**TINY, "autoscaling": {"scaleDownStabilization": "59m60s"}},
    "just enough time": {**TINY, "startupTimeout": "10s", "ingress": {"timeout": "1s"}},
    "every namespace": {**TINY, "networkPolicy": {"from": [{"namespaceLabels": {}}]}},
    "labels like ours": {
        **TINY,
        "podLabels": {"application": "x", "dfastllm.io": "a", "kserve.example.com/a": ""},
        "podAnnotations": {"serving.kserve.io/enable-prometheus-scraping": "true"},
        "monitoring": {"labels": {"a.b/c_d-e.f": "1"}},
    },
}
"""Specs that the rules only just allow."""


def custom_resource(spec: Json = TINY, *, name: str = "tiny", namespace: str = "demo") -> Json:
    """As a user writes it."""
    return {
        "apiVersion": SERVICE_RESOURCE.api_version,
        "kind": SERVICE_RESOURCE.kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": deepcopy(spec),
    }
