# The CPU service with the shipped model: no torch, no compiler, not root.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY service service
COPY model_export model_export
RUN python -m venv /opt/focalpoint \
    && /opt/focalpoint/bin/pip install --no-cache-dir --constraint constraints.txt '.[cpu]'

FROM ${BASE_IMAGE} AS cpu
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin focalpoint
COPY --from=build /opt/focalpoint /opt/focalpoint
COPY models/face68 /app/models/face68
WORKDIR /app
USER 10001
# OpenBLAS and malloc would otherwise take memory for every core of the host.
ENV PATH=/opt/focalpoint/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    OPENBLAS_NUM_THREADS=1 \
    MALLOC_ARENA_MAX=2 \
    ORT_DISABLE_TELEMETRY=1 \
    FOCALPOINT_HOST=0.0.0.0 \
    FOCALPOINT_PORT=8000
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ['FOCALPOINT_PORT'] + '/livez')"]
ENTRYPOINT ["focalpoint"]
CMD ["serve"]
