# Two stages: build with the toolchain, run with the libraries only. Scripts/pin-images.sh pins both images to their digests.
FROM swift:6.3-bookworm AS build
RUN apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends \
       libcurl4-openssl-dev libpq-dev libsqlite3-dev libyaml-dev zlib1g-dev pkg-config \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY Package.swift ./
COPY Sources Sources
COPY Tests Tests
COPY Benchmarks/Micro Benchmarks/Micro
RUN swift build -c release --static-swift-stdlib --product apirouter \
    && install -D .build/release/apirouter /out/apirouter

FROM debian:bookworm-slim
RUN apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends ca-certificates curl libcurl4 libpq5 libsqlite3-0 zlib1g \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /app --no-create-home apirouter \
    && install -d -o apirouter /app /app/data
WORKDIR /app
COPY --from=build /out/apirouter /usr/local/bin/apirouter
COPY config config
COPY providers providers
COPY sql sql
COPY tokenizers tokenizers
COPY web web
USER apirouter
# Inside a container the loopback address would be of no use to anybody outside.
ENV HOST=0.0.0.0 PORT=3000 DATA_DIR=/app/data APIROUTER_SQL_DIR=/app/sql APIROUTER_TOKENIZERS_DIR=/app/tokenizers \
    APIROUTER_WEB_DIR=/app/web
VOLUME /app/data
EXPOSE 3000
# Alive, not ready: a gateway that waits for its database serves on out of its leases, and a restart would help nobody.
HEALTHCHECK --interval=10s --timeout=3s CMD curl -fsS "http://127.0.0.1:${PORT}/health/live" || exit 1
ENTRYPOINT ["apirouter"]
CMD ["serve", "--config", "config/gateway.yaml"]
