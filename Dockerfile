# The service without torch, without a compiler, not as root; nothing in it is ever written. Two images:
#   docker build --target cpu --tag focalpoint:cpu .
#   docker build --target gpu --tag focalpoint:gpu .
# What each build argument is for: docs/deployment.md.
ARG BASE_IMAGE=python:3.11-slim-bookworm
# onnxruntime-gpu in constraints.txt is built for CUDA 13 and cuDNN 9.
ARG CUDA_BASE_IMAGE=nvidia/cuda:13.0.1-cudnn-runtime-ubuntu24.04
# The bundle below models/ that is baked in; empty for none, to mount one at /app/models/face68 instead.
ARG MODEL=face68

FROM scratch AS source
COPY pyproject.toml constraints.txt README.md LICENSE /src/
COPY service /src/service
COPY model_export /src/model_export
COPY models /src/models


FROM ${BASE_IMAGE} AS cpu-build
COPY --from=source /src /src
WORKDIR /src
RUN python3 -m venv /opt/focalpoint \
    && /opt/focalpoint/bin/pip install --no-cache-dir --constraint constraints.txt '.[cpu]' \
    && /opt/focalpoint/bin/pip uninstall --yes setuptools pip
ARG MODEL
RUN mkdir /models && if [ -n "${MODEL}" ]; then cp -r "models/${MODEL}" /models; fi

FROM ${BASE_IMAGE} AS cpu
RUN groupadd --gid 10001 focalpoint \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /app --shell /usr/sbin/nologin focalpoint
WORKDIR /app
COPY deploy/healthcheck.py ./
COPY --from=cpu-build /opt/focalpoint /opt/focalpoint
COPY --from=cpu-build /models models
USER 10001:10001
ARG MODEL
# The service's own threads are the parallelism: OpenMP, OpenBLAS and malloc would take memory for every core of the host.
# OPENCV_IO_MAX_IMAGE_PIXELS is a second bound behind FOCALPOINT_MAX_PIXELS; raise both together.
# Every other FOCALPOINT_ variable, with its default: docs/settings.md.
ENV PATH=/opt/focalpoint/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    OMP_NUM_THREADS=1 \
    OPENBLAS_NUM_THREADS=1 \
    MALLOC_ARENA_MAX=2 \
    OPENCV_IO_MAX_IMAGE_PIXELS=50000000 \
    ORT_DISABLE_TELEMETRY=1 \
    FOCALPOINT_MODEL=models/${MODEL:-face68} \
    FOCALPOINT_HOST=0.0.0.0 \
    FOCALPOINT_PORT=8000 \
    FOCALPOINT_PROVIDER=cpu
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["python", "-I", "/app/healthcheck.py"]
ENTRYPOINT ["focalpoint"]
CMD ["serve"]
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="focalpoint" \
      org.opencontainers.image.description="Keypoints over HTTP, on CPUs" \
      org.opencontainers.image.licenses="Apache-2.0; weights below /app/models under the LICENSE beside them" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"


FROM ${CUDA_BASE_IMAGE} AS gpu-base
# CUDA's images come without Python. Its patch version is the distribution's business, not ours.
# hadolint ignore=DL3008
RUN if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
        apt-get update && apt-get install --yes --no-install-recommends python3 && rm -rf /var/lib/apt/lists/*; \
    fi

FROM gpu-base AS gpu-build
# hadolint ignore=DL3008
RUN if ! python3 -c 'import ensurepip'; then \
        apt-get update && apt-get install --yes --no-install-recommends python3-venv && rm -rf /var/lib/apt/lists/*; \
    fi
COPY --from=source /src /src
WORKDIR /src
# Not the extra `gpu`: that brings CUDA and cuDNN too, 1.3 GB that the base has. For a base that has neither, ask for
# 'onnxruntime-gpu[cuda,cudnn]'.
ARG ONNXRUNTIME=onnxruntime-gpu
RUN python3 -m venv /opt/focalpoint \
    && /opt/focalpoint/bin/pip install --no-cache-dir --constraint constraints.txt . "${ONNXRUNTIME}" \
    && /opt/focalpoint/bin/pip uninstall --yes setuptools pip
ARG MODEL
RUN mkdir /models && if [ -n "${MODEL}" ]; then cp -r "models/${MODEL}" /models; fi

FROM gpu-base AS gpu
RUN groupadd --gid 10001 focalpoint \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /app --shell /usr/sbin/nologin focalpoint
WORKDIR /app
COPY deploy/healthcheck.py ./
COPY --from=gpu-build /opt/focalpoint /opt/focalpoint
COPY --from=gpu-build /models models
USER 10001:10001
ARG MODEL
# As above; where CUDA cannot be used the start fails.
ENV PATH=/opt/focalpoint/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    OMP_NUM_THREADS=1 \
    OPENBLAS_NUM_THREADS=1 \
    MALLOC_ARENA_MAX=2 \
    OPENCV_IO_MAX_IMAGE_PIXELS=50000000 \
    ORT_DISABLE_TELEMETRY=1 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    FOCALPOINT_MODEL=models/${MODEL:-face68} \
    FOCALPOINT_HOST=0.0.0.0 \
    FOCALPOINT_PORT=8000 \
    FOCALPOINT_PROVIDER=cuda
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s CMD ["python", "-I", "/app/healthcheck.py"]
ENTRYPOINT ["focalpoint"]
CMD ["serve"]
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="focalpoint" \
      org.opencontainers.image.description="Keypoints over HTTP, on NVIDIA GPUs" \
      org.opencontainers.image.licenses="Apache-2.0; weights below /app/models under the LICENSE beside them" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

# Without --target.
FROM cpu
