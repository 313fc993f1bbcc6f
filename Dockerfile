# One image for every role; the role is the command: collect, process or serve.

FROM swift:6.3-bookworm AS build
RUN apt-get update \
  && apt-get install -y --no-install-recommends \
    libcurl4-openssl-dev libhiredis-dev libnats-dev libpq-dev libssl-dev pkg-config zlib1g-dev \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
RUN swift build -c release --product smartcontent --static-swift-stdlib \
  && install -D -s .build/release/smartcontent /image/usr/local/bin/smartcontent \
  && mkdir -p /image/usr/local/share/smartcontent \
  && cp -r Streams /image/usr/local/share/smartcontent/Streams

FROM debian:12-slim
RUN apt-get update \
  && apt-get install -y --no-install-recommends \
    ca-certificates libcurl4 libhiredis0.14 libnats3.4 libpq5 libssl3 tzdata zlib1g \
  && rm -rf /var/lib/apt/lists/* \
  && groupadd --system --gid 10001 smartcontent \
  && useradd --system --uid 10001 --gid 10001 --no-create-home smartcontent \
  && install -d -o smartcontent -g smartcontent /var/lib/smartcontent \
    /var/lib/smartcontent/keys /var/lib/smartcontent/spool /var/lib/smartcontent/state
COPY --from=build /image/ /
USER 10001:10001
WORKDIR /var/lib/smartcontent
VOLUME /var/lib/smartcontent
ENV SMARTCONTENT_STREAMS=/usr/local/share/smartcontent/Streams
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=6 \
  CMD ["smartcontent", "health"]
ENTRYPOINT ["smartcontent"]
CMD ["--help"]
