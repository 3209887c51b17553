# Headroom in a container: `docker build -t headroom .`, with CUDA `--build-arg VARIANT=cuda`. docs/sharing.md says how to
# run it and what of this file was tried; `make containers` lints it.
FROM python:3.11-slim
# The image's Debian moves on: a g++ that is pinned here would be gone from its mirrors.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 10001 headroom \
    && install -d -o headroom /data
WORKDIR /app
ENV PYTHONUNBUFFERED=1 \
    PYTHONMALLOC=malloc \
    PIP_NO_CACHE_DIR=1 \
    HEADROOM_DATA_DIR=/data/runs \
    HEADROOM_CACHE_DIR=/data/cache \
    HF_HOME=/data/hub

# cpu: without torch every page opens, and measuring says what to install; TORCH_INDEX names where PyTorch's CPU build lies.
# cuda: PyPI's torch for Linux brings CUDA; the host gives the driver (`docker run --gpus all`).
# One stage that asks VARIANT: podman 4.3 (Debian 12) leaves out a stage that is named through an argument.
ARG VARIANT=cpu
ARG TORCH_INDEX=""
COPY requirements-look.txt requirements-sharing.txt requirements.txt requirements.lock ./
RUN case "$VARIANT" in \
      cuda) pip install --require-hashes -r requirements.lock; exit ;; \
      cpu) ;; \
      *) echo "VARIANT is cpu or cuda, not $VARIANT" >&2; exit 2 ;; \
    esac; \
    if [ -n "$TORCH_INDEX" ]; then pip install --index-url "$TORCH_INDEX" torch==2.13.0; \
    else sed -i -e '/^torch==/d' -e '/^transformers==/d' requirements.txt; fi \
    && pip install -r requirements-sharing.txt

COPY --chown=root:root . .
USER 10001
VOLUME /data
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://localhost:8501/healthz', timeout=4)"]
CMD ["streamlit", "run", "dashboard.py", "--server.address", "0.0.0.0"]
