# Builds the daemon and puts it, alone, into an image without a shell.
#   docker build -t syncline .
#   docker run --read-only -v syncline:/data -v ./config:/config:ro -e WAREHOUSE_URL -e HUBSPOT_TOKEN syncline
# docs/deploy/ has a compose file, a Kubernetes manifest and a systemd unit; docs/deployment.md explains them.

FROM rust:1.95-slim-bookworm AS build
# A C compiler for SQLite (bundled) and ring.
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /build
# Dependencies first: this layer stays while only the sources change.
COPY Cargo.toml Cargo.lock ./
RUN mkdir -p src benches/speed && echo 'fn main() {}' > src/main.rs && touch src/lib.rs && echo 'fn main() {}' > benches/speed/main.rs \
 && mkdir -p tests/integration tests/proof && touch tests/integration/main.rs tests/proof/main.rs \
 && cargo build --release --locked --bin syncline && rm -rf src
COPY src src
COPY migrations migrations
COPY config config
COPY LICENSE README.md ./
# Cargo goes by the time of files, and the placeholders are newer than the sources.
RUN touch src/main.rs src/lib.rs && cargo build --release --locked --bin syncline \
 && mkdir -p /out/data && cp target/release/syncline LICENSE /out/

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /out/syncline /usr/local/bin/syncline
COPY --from=build /out/LICENSE /usr/share/doc/syncline/LICENSE
# The state, plans under way and the installation key: the only place that is written, so the root may be read-only. Keep
# it on a volume of a local disk; SQLite is not safe on network file systems.
COPY --from=build --chown=nonroot:nonroot /out/data /data
VOLUME /data
# `sqlite://data/syncline.db` of the configuration is /data/syncline.db.
WORKDIR /
USER nonroot
# SIGTERM: batches in flight end within 20 s. Give the container at least 30 s to stop.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD ["/usr/local/bin/syncline", "--config", "/config", "health"]
ENTRYPOINT ["/usr/local/bin/syncline", "--config", "/config"]
CMD ["run"]
