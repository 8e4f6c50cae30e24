# edge-sdk with JetPack's own TensorRT on a Jetson (JetPack 6: Ubuntu 22.04, CPython 3.10). On the board, in the checkout:
#
#   docker build --file containers/jetson.Dockerfile --tag edge-sdk-jetson .
#   docker run --rm --runtime nvidia --read-only --tmpfs /tmp --volume edge-sdk:/var/lib/edge-sdk \
#       edge-sdk-jetson selftest deepsign --engine tensorrt
#
# The first start builds the TensorRT engines, which takes minutes; the volume keeps them, with the key that they are
# known by and what was tuned. A trust file: as for x86.Dockerfile. JETPACK is the image that belongs to the board's own
# release. CPython 3.10 has no locked versions: the newest that fit are taken.

ARG JETPACK=nvcr.io/nvidia/l4t-jetpack:r36.4.0

FROM ubuntu:22.04 AS build
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 python3-pip python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY sboms sboms
COPY edge_sdk edge_sdk
# with the system's packages, for TensorRT's Python module is one
RUN python3 -m venv --system-site-packages /opt/edge-sdk \
    && /opt/edge-sdk/bin/python -m pip install --no-cache-dir --upgrade "pip>=23" \
    && /opt/edge-sdk/bin/python -m pip install --no-cache-dir . \
    && /opt/edge-sdk/bin/python -m pip uninstall --yes pip

FROM ${JETPACK}
COPY --from=build /opt/edge-sdk /opt/edge-sdk
RUN install --directory --owner 65532 --group 65532 --mode 700 /var/lib/edge-sdk
ENV PATH=/opt/edge-sdk/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    EDGE_SDK_CACHE=/var/lib/edge-sdk/cache \
    EDGE_SDK_CONFIG=/var/lib/edge-sdk/config
# who may use the GPU on a Jetson: group 44, video
USER 65532:44
VOLUME /var/lib/edge-sdk
WORKDIR /tmp
# of the bundle that the application opens
HEALTHCHECK --interval=5m --timeout=2m --start-period=10m CMD ["edge-sdk", "selftest", "deepsign"]
ENTRYPOINT ["edge-sdk"]
CMD ["bundles"]
