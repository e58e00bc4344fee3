# The runtime: every command that runs a .tflite, no TensorFlow.
#   docker build -t fastscnn .
#   docker run --rm -v "$PWD:/data" fastscnn predict camvid street.jpg --output pictures
FROM python:3.12-slim AS wheel
COPY pyproject.toml setup.py README.md LICENSE /source/
COPY fastscnn_tf /source/fastscnn_tf
COPY tflite/fastscnn_camvid* tflite/LICENSE-camvid-weights.txt /source/tflite/
RUN python -m pip wheel --no-cache-dir --no-deps --wheel-dir /wheels /source

FROM python:3.12-slim
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    python -m pip install --no-cache-dir /wheels/*.whl && useradd --create-home fastscnn
USER fastscnn
WORKDIR /data
ENTRYPOINT ["fastscnn"]
CMD ["--help"]
