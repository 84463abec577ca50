# The platform in one image: service, flows, Prefect's and MLflow's servers. docs/containers.md
#   docker build --build-arg GIT_COMMIT="$(git rev-parse HEAD)" -t tradehits .
#   docker build --build-arg XGBOOST=xgboost -t tradehits:gpu .
# A package index of your own: --secret id=pip_conf,src=pip.conf --secret id=uv_toml,src=uv.toml
ARG BASE_IMAGE=python:3.11-slim

FROM ${BASE_IMAGE} AS builder
# xgboost-cpu is the same version and module without NVIDIA's libraries
ARG XGBOOST=xgboost-cpu
ARG EXTRAS="postgres redis sources"
ARG GIT_COMMIT=""
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1
# pip and uv stay outside of the environment that the final stage gets
RUN python3 -m venv /opt/build && python3 -m venv --without-pip /opt/venv
WORKDIR /build
COPY pyproject.toml constraints.txt deploy/requirements.py ./
RUN --mount=type=cache,target=/root/.cache \
    --mount=type=secret,id=pip_conf,target=/etc/pip.conf \
    --mount=type=secret,id=uv_toml,target=/etc/uv/uv.toml \
    /opt/build/bin/pip install --quiet -c constraints.txt uv \
    && python3 requirements.py pyproject.toml constraints.txt --extras "${EXTRAS}" --xgboost "${XGBOOST}" > wanted.txt \
    && /opt/build/bin/uv pip install --python /opt/venv/bin/python --no-build -c constraints.txt -r wanted.txt
# A checkout in its place, not a copy in site-packages: prefect.yaml and configs/ belong to it.
COPY . /app
RUN --mount=type=cache,target=/root/.cache \
    --mount=type=secret,id=uv_toml,target=/etc/uv/uv.toml \
    /opt/build/bin/uv pip install --python /opt/venv/bin/python --no-deps -e /app \
    && rm -rf /app/build \
    && if [ -n "${GIT_COMMIT}" ]; then echo "${GIT_COMMIT}" > /app/COMMIT; fi \
    && /opt/venv/bin/python -m compileall -q /app

FROM ${BASE_IMAGE} AS final
# Cloud Run mounts a bucket over the cache of profile `bigquery`; the folders around it must belong to the user by then
RUN groupadd --gid 10001 tradehits \
    && useradd --uid 10001 --gid tradehits --create-home --shell /usr/sbin/nologin tradehits \
    && install -d -o tradehits -g tradehits /data /data/bigquery /data/bigquery/state /data/bigquery/cache
COPY --from=builder /opt/venv /opt/venv
COPY --from=builder /app /app
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    TRADEHITS_HOME=/data \
    OMP_WAIT_POLICY=PASSIVE \
    GIT_PYTHON_REFRESH=quiet \
    DO_NOT_TRACK=1 \
    BENTOML_DO_NOT_TRACK=true \
    MLFLOW_DISABLE_TELEMETRY=true \
    PREFECT_SERVER_ANALYTICS_ENABLED=false \
    PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT=false
WORKDIR /app
USER 10001:10001
VOLUME /data
EXPOSE 3000
# of the service; compose.yaml gives the other processes checks of their own
HEALTHCHECK --interval=15s --timeout=6s --start-period=120s --retries=3 \
    CMD ["python", "/app/deploy/healthcheck.py", "http://127.0.0.1:3000/livez"]
ENTRYPOINT ["tradehits"]
# Beyond loopback it starts only with a key (`tradehits serve keys add`) or with serving.anonymous_reads.
CMD ["serve", "--host", "0.0.0.0"]
