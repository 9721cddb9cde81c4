"""The pods' account: no rights, no token; KServe finds the credentials for the model through it."""

from dfastllm_operator import names
from dfastllm_operator.api import DFastLLMService
from dfastllm_operator.core import Child, Json
from dfastllm_operator.kinds import SERVICE_ACCOUNT
from dfastllm_operator.resources.metadata import child


def service_account(service: DFastLLMService) -> Child | None:
    """None when the spec names an account of the user's.

    The Secret stands here beside the annotation of the pods: KServe reads the annotation only
    where its own configuration names it.
    """
    spec = service.spec
    if spec.service_account_name is not None:
        return None
    content: Json = {"automountServiceAccountToken": False}
    if spec.model.storage_secret_ref is not None:
        content["secrets"] = [{"name": spec.model.storage_secret_ref.name}]
    return child(service, SERVICE_ACCOUNT, names.dns_label(service.name), content)
