"""The serving runtimes where they are installed: cluster, one namespace, OpenShift's dashboard."""

import json

from dfastllm_operator import __version__
from dfastllm_operator.core import Json
from dfastllm_operator.install.identity import SERVER_IMAGE
from dfastllm_operator.resources import runtime


def by_name(namespace: str | None = None) -> dict[str, Json]:
    """The runtimes for `namespace`, or for the whole cluster."""
    found = runtime.runtimes(SERVER_IMAGE, __version__, namespace=namespace)
    return {body["metadata"]["name"]: body for body in found}


def openshift_template() -> Json:
    """How OpenShift AI's dashboard offers the public runtime; it copies it into a project."""
    offered = by_name("unset")[runtime.PUBLIC_NAME]
    del offered["metadata"]["namespace"]
    return {
        "apiVersion": "template.openshift.io/v1",
        "kind": "Template",
        "metadata": {
            "name": f"{runtime.PUBLIC_NAME}-runtime",
            "labels": {"opendatahub.io/dashboard": "true"},
            "annotations": {
                "openshift.io/display-name": "dfastllm: diffusion language models",
                "openshift.io/provider-display-name": "dfastllm",
                "description": "Serves diffusion language models (LLaDA, Dream) with an OpenAI "
                "API.",
                "tags": "rhods,rhoai,kserve,servingruntime",
                "opendatahub.io/modelServingSupport": json.dumps(["single"]),
                "opendatahub.io/apiProtocol": "REST",
                "opendatahub.io/model-type": json.dumps(["generative"]),
            },
        },
        "objects": [offered],
    }
