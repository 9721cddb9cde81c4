"""How much a replica needs: from a model's shape to weights, K/V cache, GPU and requests."""

from dfastllm_operator.sizing.amounts import resources_of
from dfastllm_operator.sizing.hub import Hub
from dfastllm_operator.sizing.hub_config import HubConfig
from dfastllm_operator.sizing.size import Sizing, size

__all__ = ["Hub", "HubConfig", "Sizing", "resources_of", "size"]
