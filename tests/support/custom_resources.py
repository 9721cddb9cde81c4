"""Specs of DFastLLMService: the least, one with every field, and some at the edge of the rules.

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

KEDA = {"serverAddress": "http://prometheus:9090"}
QUERY = {**KEDA, "query": "sum(load)"}

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
        "autoscaling": {"type": "keda", "keda": QUERY},
        "replicas": {"min": 0, "max": 2},
    },
    "fallback to the maximum": {
        **TINY,
        "autoscaling": {"type": "keda", "keda": {**KEDA, "fallbackReplicas": 2}},
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
