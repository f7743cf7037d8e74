package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// buildArgs are the arguments of the Dockerfile's `go build`, whose test compares the two.
func buildArgs(version, out string) []string {
	return []string{"build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -X main.version=" + version, "-o", out, "./cmd/leatd"}
}

// build returns leatd's binary.
func build(ctx context.Context, checkout string, platform v1.Platform, version string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "leat-image-")
	if err != nil {
		return nil, fmt.Errorf("build: %w", err)
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "leatd")
	cmd := exec.CommandContext(ctx, "go", buildArgs(version, out)...)
	cmd.Dir = checkout
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off", "GOEXPERIMENT=",
		"GOOS="+platform.OS, "GOARCH="+platform.Architecture, "GOAMD64=", "GOARM64=")
	if said, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build: %s: %w\n%s", cmd, err, said)
	}
	return os.ReadFile(out)
}
