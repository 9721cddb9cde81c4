"""`spec.resources`: what a replica asks of its node; left out, it is computed from the model."""

from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from dfastllm_operator.api.names import LabelValue, keys_rule
from dfastllm_operator.api.quantity import Quantity, amount
from dfastllm_operator.api.structure import Rule, Struct

GPU_RESOURCE = "nvidia.com/gpu"
_GPU_NAME = f"(has(self.gpu) ? self.gpu.resourceName : '{GPU_RESOURCE}')"

Amounts = Annotated[dict[str, Quantity], Field(max_length=16)]


class Gpu(Struct):
    """The GPUs of one replica."""

    count: int | None = Field(
        default=None,
        ge=0,
        le=16,
        description="GPUs per replica; 0 runs on the CPU. Left out: computed from the model. The "
        "server of this version uses one GPU, so more are refused.",
    )
    product: LabelValue | None = Field(
        default=None,
        min_length=1,
        description="Product the node must have, as the label nvidia.com/gpu.product names it, "
        "for example `NVIDIA-A100-SXM4-80GB`; needs count. Left out: any.",
    )
    memory: Quantity | None = Field(
        default=None,
        description="Memory of one GPU, for example `80Gi`: what the model must fit into. Left "
        "out: not checked.",
    )
    resource_name: Annotated[
        str, StringConstraints(pattern=r"^[a-z0-9.-]+/[A-Za-z0-9._-]+$", max_length=128)
    ] = Field(
        default=GPU_RESOURCE,
        description="Extended resource that counts the GPUs, for example `nvidia.com/gpu.shared` "
        "or `nvidia.com/mig-3g.40gb`.",
    )

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.count) || self.count <= 1",
            "resources.gpu.count is 0 or 1: the server of this version uses one GPU; serve more "
            "with replicas",
            lambda gpu: gpu.count is None or gpu.count <= 1,
            ".count",
        ),
        Rule(
            "!has(self.product) || (has(self.count) && self.count > 0)",
            "resources.gpu.product needs resources.gpu.count of at least 1",
            lambda gpu: gpu.product is None or bool(gpu.count),
            ".product",
        ),
    )


class Resources(Struct):
    """What one replica asks for."""

    gpu: Gpu | None = Field(
        default=None,
        description="GPUs of a replica. Left out: computed from the model; built-in models get "
        "none.",
    )
    requests: Amounts = Field(
        default={},
        description="Resources a replica is guaranteed, by name, for example `cpu: 4` and "
        "`memory: 32Gi`. Left out: what is not given is computed from the model.",
    )
    limits: Amounts = Field(
        default={},
        description="Most that a replica may use, by resource name. Left out: memory is "
        "computed from the model and cpu is not limited (2 for a built-in model).",
    )

    RULES: ClassVar[tuple[Rule, ...]] = (
        keys_rule("requests", "names of resources"),
        keys_rule("limits", "names of resources"),
        Rule(
            "!has(self.requests) || !has(self.limits) || self.requests.all(name, "
            "!(name in self.limits) || quantity(string(self.requests[name]))"
            ".compareTo(quantity(string(self.limits[name]))) <= 0)",
            "resources.requests must not exceed resources.limits: raise the limit or lower the "
            "request",
            lambda resources: all(
                amount(quantity) <= amount(resources.limits.get(name, quantity))
                for name, quantity in resources.requests.items()
            ),
            ".requests",
        ),
        Rule(
            f"!({_GPU_NAME} in (has(self.requests) ? self.requests : {{}})) && "
            f"!({_GPU_NAME} in (has(self.limits) ? self.limits : {{}}))",
            "GPUs are asked for in resources.gpu.count; take them out of requests and limits",
            lambda resources: (
                resources.gpu_resource not in {*resources.requests, *resources.limits}
            ),
            ".gpu",
        ),
    )

    @property
    def gpu_resource(self) -> str:
        return self.gpu.resource_name if self.gpu else GPU_RESOURCE
