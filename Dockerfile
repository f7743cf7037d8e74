# leatd as a static binary and nothing else.
#
#   docker build -t leat .
#   docker buildx build --platform linux/amd64,linux/arm64 -t leat .
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
ARG TARGETOS TARGETARCH VERSION
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -buildvcs=false \
    -ldflags "-s -w ${VERSION:+-X main.version=$VERSION}" -o /leatd ./cmd/leatd

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /leatd /leatd
EXPOSE 9110
ENTRYPOINT ["/leatd"]
