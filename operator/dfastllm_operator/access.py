"""Where the API server is and who we are there: a kubeconfig, or the pod's service account.

Both clients of the process log in with what is loaded here: ours (`transport`) and kopf's
(`crwatch`). Loading again picks up rotated tokens and certificates.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import yaml
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config import ConfigException
from kubernetes.aio.config.incluster_config import SERVICE_HOST_ENV_NAME, InClusterConfigLoader
from kubernetes.aio.config.kube_config import load_kube_config

SERVICE_ACCOUNT_FILES = Path("/var/run/secrets/kubernetes.io/serviceaccount")
IN_MEMORY = "/dev/shm"


class NoAccess(Exception):
    """No usable credentials; the text says what was looked for."""


@dataclass(frozen=True, slots=True)
class Access:
    """How to find the credentials; found again at each `load`.

    The named kubeconfig, else $KUBECONFIG, else the pod's own account, else ~/.kube/config.
    `context` is one of the kubeconfig's, None its current one.
    """

    kubeconfig: str | None = None
    account: Path = SERVICE_ACCOUNT_FILES
    context: str | None = None

    async def load(self) -> Configuration:
        file = self._file()
        configuration = Configuration()
        configuration.connection_pool_maxsize = 0  # no limit: each watch holds a connection
        # Python 3.13 refuses authorities without a key identifier, which many clusters have.
        configuration.disable_strict_ssl_verification = True
        # aiohttp would look for proxies and ~/.netrc at each request, in a thread.
        configuration.client_session_kwargs = {"trust_env": False}
        try:
            if file is None:
                InClusterConfigLoader(  # type: ignore[no-untyped-call]
                    token_filename=str(self.account / "token"),
                    cert_filename=str(self.account / "ca.crt"),
                ).load_and_set(configuration)
            else:
                await load_kube_config(  # type: ignore[no-untyped-call]
                    config_file=file,
                    context=self.context,
                    client_configuration=configuration,
                    persist_config=False,
                    # Python's ssl takes certificates from files only. In memory no key lands on a
                    # disk, and a read-only root is enough.
                    temp_file_path=IN_MEMORY if os.access(IN_MEMORY, os.W_OK) else None,
                )
        except (ConfigException, OSError, ValueError, TypeError, yaml.YAMLError) as error:
            whose = "the service account" if file is None else file
            raise NoAccess(f"cannot log in with {whose}: {error}") from error
        configuration.proxy = configuration.proxy or _proxy(configuration.host)
        return configuration

    def own_namespace(self) -> str | None:
        """The namespace of this pod; None outside of a cluster."""
        named = os.environ.get("POD_NAMESPACE")
        if named:
            return named
        try:
            return (self.account / "namespace").read_text().strip() or None
        except OSError:
            return None

    def _file(self) -> str | None:
        """The kubeconfig to read, or several as kubectl takes them; None for the pod's account."""
        named = self.kubeconfig or os.environ.get("KUBECONFIG")
        if named:
            if not any(Path(part).expanduser().exists() for part in named.split(os.pathsep)):
                raise NoAccess(f"there is no kubeconfig {named}")
            return named
        if os.environ.get(SERVICE_HOST_ENV_NAME):
            return None
        users = Path("~/.kube/config").expanduser()
        if users.exists():
            return str(users)
        raise NoAccess(
            "no cluster to talk to: this is no pod, and neither --kubeconfig, $KUBECONFIG nor "
            "~/.kube/config names a kubeconfig"
        )


def _proxy(url: str) -> str | None:
    """The proxy that the environment names for the API server, as kubectl takes it."""
    target = urlsplit(url)
    if proxy_bypass(target.hostname or ""):
        return None
    return getproxies().get(target.scheme)
