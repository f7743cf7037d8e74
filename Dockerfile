# leatd as a static binary with the roots of trust for TLS, and nothing else.
#
#   docker build -t leat .
#   docker buildx build --platform linux/amd64,linux/arm64 -t leat .
#   buildah build --platform linux/arm64 --build-arg BUILDPLATFORM=linux/amd64 -t leat .   # older ones don't know it themselves
#
# Where there is no engine, `make image` makes the same image: it reads from the last stage below what goes into it.
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
ARG TARGETOS TARGETARCH VERSION=0.1.0-dev
WORKDIR /src
COPY go.mod go.sum ./
COPY deploy/image/go.mod deploy/image/go.sum deploy/image/
RUN go mod download && go -C deploy/image mod download
COPY . .
RUN go run -C deploy/image . -roots /ca-certificates.crt
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -buildvcs=false \
    -ldflags "-s -w -X main.version=$VERSION" -o /leatd ./cmd/leatd

FROM scratch
ARG VERSION=0.1.0-dev
LABEL org.opencontainers.image.title="Leat" \
      org.opencontainers.image.description="A node agent that delivers every line of the containers' logs, and the node's metrics" \
      org.opencontainers.image.source="https://github.com/leatd/leat" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION"
COPY --from=build /ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /leatd /leatd
# The kubelet's logs belong to root. No capability is needed; see the chart for a variant as 65534 with gid 0.
USER 0:0
EXPOSE 9110
ENTRYPOINT ["/leatd"]
