# docker build --target cpu -t cuemask .        docker build --target cuda -t cuemask:cuda .
# docker run --rm -v "$PWD:/data" cuemask segment op1.mp4 --out result
#
# Everything comes from the package index that pip is set up with, or from --build-arg PIP_INDEX_URL=...: torch in the
# version of constraints.txt, all other libraries as deploy/requirements.lock has them, checked by their hashes. Which of
# torch's builds that is, for processors alone or with CUDA's libraries, is the index's choice; `cuda` leaves out the pin
# on torch, and needs of the machine a driver and NVIDIA's container toolkit, no CUDA.

FROM python:3.11-slim-bookworm AS base
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONUNBUFFERED=1 ORT_DISABLE_TELEMETRY=1
RUN python -m venv /opt/cuemask
ENV PATH=/opt/cuemask/bin:$PATH
WORKDIR /src
COPY deploy/requirements.lock deploy/
RUN pip install --require-hashes --no-deps -r deploy/requirements.lock
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src

FROM base AS cpu-build
RUN pip install -c constraints.txt torch && pip install --no-deps .

FROM base AS cuda-build
RUN pip install torch && pip install --no-deps . \
    && pip uninstall -y onnxruntime && pip install 'onnxruntime-gpu>=1.20'

FROM python:3.11-slim-bookworm AS run
ENV PATH=/opt/cuemask/bin:$PATH PYTHONUNBUFFERED=1 ORT_DISABLE_TELEMETRY=1
RUN useradd --create-home --uid 1000 cuemask
USER 1000
WORKDIR /data
ENTRYPOINT ["cuemask"]
CMD ["--help"]

FROM run AS cuda
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility,video
COPY --from=cuda-build /opt/cuemask /opt/cuemask

# The last stage is what is built where no target is named.
FROM run AS cpu
COPY --from=cpu-build /opt/cuemask /opt/cuemask
