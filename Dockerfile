# Builds the daemon and puts it, alone, into an image without a shell.
#   docker build -t syncline .
#   docker run -v syncline:/data -v ./config:/config:ro -e WAREHOUSE_URL -e HUBSPOT_TOKEN syncline

FROM rust:1.95-slim-bookworm AS build
# A C compiler for SQLite (bundled) and ring.
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY . .
RUN cargo build --release --locked --bin syncline && mkdir -p /out/data && cp target/release/syncline LICENSE /out/

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /out/syncline /usr/local/bin/syncline
COPY --from=build /out/LICENSE /usr/share/doc/syncline/LICENSE
# The state: keep it on a volume of a local disk; SQLite is not safe on network file systems.
COPY --from=build --chown=nonroot:nonroot /out/data /data
VOLUME /data
WORKDIR /
USER nonroot
# SIGTERM: batches in flight end within 20 s. Give the container at least 30 s to stop.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/syncline"]
CMD ["--config", "/config", "run"]
