"""Keep the process small: it idles for months beside workloads that pay for their memory."""

import asyncio.sslproto
import ctypes
import gc
import sys
from importlib.util import find_spec, module_from_spec

TLS_BUFFER = 32 * 1024
"""Bytes for each TLS connection."""


def spare_tls_buffers() -> None:
    """Call before the first connection.

    asyncio fills 256 KiB with zeros for each TLS connection, and every watch has one of its own: 4
    MB for one namespace, 80 MB for twenty. It is only a buffer; longer messages take several turns.
    """
    asyncio.sslproto.SSLProtocol.max_size = TLS_BUFFER


def spare_synchronous_client() -> None:
    """Call before anything imports `kubernetes`.

    Its package imports the synchronous client with requests, OAuth and websockets: 10 MB of which
    nothing is used here. The package is known but not executed then; its modules are imported as
    they are asked for.
    """
    spec = find_spec("kubernetes")
    if spec is not None and "kubernetes" not in sys.modules:
        sys.modules["kubernetes"] = module_from_spec(spec)


def give_back() -> None:
    """Return memory that was freed to the system; starting leaves megabytes that glibc keeps."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:  # glibc only
        trim(0)
