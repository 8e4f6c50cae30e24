# edge-sdk with ONNX Runtime on x86-64, the locked versions. In the checkout:
#
#   docker build --file containers/x86.Dockerfile --tag edge-sdk .
#   docker run --rm --read-only --tmpfs /tmp --network none --volume "$PWD/pictures:/data:ro" edge-sdk \
#       verify /data/reference.png /data/query.png --json
#
# Nothing is written but below /tmp and /var/lib/edge-sdk, a volume that keeps compiled models and what was tuned. For
# templates mount a folder that user 65532 may write to. For a trust file, with its keys beside it:
#
#   --volume "$PWD/trust:/etc/edge-sdk:ro" --env EDGE_SDK_TRUST=/etc/edge-sdk/trust.json
#
# The folder and its files must belong to root (chown -R root: trust) or to user 65532, and nobody else may write them:
# a trust file of another owner is refused, and no bundle opens.

FROM python:3.11-slim AS build
WORKDIR /source
COPY requirements/runtime.lock requirements/
RUN python -m venv --without-pip /opt/edge-sdk \
    && pip --python /opt/edge-sdk/bin/python install --no-cache-dir --no-deps --requirement requirements/runtime.lock
COPY pyproject.toml README.md LICENSE ./
COPY sboms sboms
COPY edge_sdk edge_sdk
RUN pip --python /opt/edge-sdk/bin/python install --no-cache-dir --no-deps .

FROM python:3.11-slim
COPY --from=build /opt/edge-sdk /opt/edge-sdk
ENV PATH=/opt/edge-sdk/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    EDGE_SDK_CACHE=/var/lib/edge-sdk/cache \
    EDGE_SDK_CONFIG=/var/lib/edge-sdk/config
RUN install --directory --owner 65532 --group 65532 --mode 700 /var/lib/edge-sdk
USER 65532:65532
VOLUME /var/lib/edge-sdk
WORKDIR /tmp
# of the bundle that the application opens
HEALTHCHECK --interval=5m --timeout=1m --start-period=10s CMD ["edge-sdk", "selftest", "deepsign"]
ENTRYPOINT ["edge-sdk"]
CMD ["bundles"]
