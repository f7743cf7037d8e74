// Image builds leatd's container image where there is no engine for the Dockerfile: `make image`.
//
// What is in the image, and how it is configured, is said once, in the last stage of the Dockerfile, which is read here
// (dockerfile.go); an instruction that is not known is an error and never left out. What the stage copies is made here:
// the binary, by the same `go build` (build.go), and the roots of trust, which the Dockerfile too has from here
// (roots.go). Neither depends on the machine, the folder or the hour, so the same source gives the same digest.
//
// It writes, below the folder -out,
//
//	oci/                  an OCI image layout: one index with an image for each platform
//	leat-ARCHITECTURE.tar for each platform an archive as `docker save` writes it, for `ctr -n k8s.io images import`
//
// and prints the digest of the index.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// options are what the command line says.
type options struct {
	checkout  string
	out       string
	version   string // empty: what the Dockerfile says
	tag       string // a name without a tag gets the version
	platforms []string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var o options
	flag.StringVar(&o.checkout, "checkout", "../..", "the project's folder")
	flag.StringVar(&o.out, "out", "../../bin/image", "folder to write to; its folder oci is replaced")
	flag.StringVar(&o.version, "version", "", "version of leatd; empty: the Dockerfile's")
	flag.StringVar(&o.tag, "tag", "ghcr.io/leatd/leat", "name of the image in the archives, with a tag or without")
	platforms := flag.String("platforms", "linux/amd64,linux/arm64", "what to build for")
	roots := flag.String("roots", "", "write the roots of trust to this file, and nothing else")
	flag.Parse()
	o.platforms = strings.Split(*platforms, ",")

	var err error
	if *roots != "" {
		err = os.WriteFile(*roots, rootsPEM(), 0o644)
	} else {
		err = run(ctx, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

// run builds the image of every platform and writes them all.
func run(ctx context.Context, o options) error {
	text, err := os.ReadFile(filepath.Join(o.checkout, "Dockerfile"))
	if err != nil {
		return fmt.Errorf("dockerfile: %w", err)
	}
	args := map[string]string{}
	if o.version != "" {
		args["VERSION"] = o.version
	}
	last, err := parse(string(text), args)
	if err != nil {
		return fmt.Errorf("dockerfile: %w", err)
	}
	version := last.args["VERSION"]
	if version == "" {
		return errors.New("dockerfile: the last stage has no ARG VERSION with a default")
	}
	tag, err := name.NewTag(o.tag)
	if err != nil {
		return fmt.Errorf("tag: %w", err)
	}
	if !strings.HasSuffix(o.tag, ":"+tag.TagStr()) {
		tag = tag.Tag(version)
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return fmt.Errorf("output: %w", err)
	}

	var images []built
	for _, text := range o.platforms {
		platform, err := v1.ParsePlatform(text)
		if err != nil || platform.OS == "" || platform.Architecture == "" {
			return fmt.Errorf("platform: %q is not OS/ARCHITECTURE", text)
		}
		binary, err := build(ctx, o.checkout, *platform, version)
		if err != nil {
			return err
		}
		files := map[string]file{"/leatd": {binary, 0o755}, "/ca-certificates.crt": {rootsPEM(), 0o644}}
		img, err := last.image(*platform, files)
		if err != nil {
			return fmt.Errorf("image: %s: %w", text, err)
		}
		archive := filepath.Join(o.out, "leat-"+platform.Architecture+".tar")
		if err := tarball.WriteToFile(archive, tag, img); err != nil {
			return fmt.Errorf("archive: %w", err)
		}
		fmt.Println(archive)
		images = append(images, built{*platform, img})
	}
	index := indexOf(images, tag.String())
	folder := filepath.Join(o.out, "oci")
	if err := os.RemoveAll(folder); err != nil {
		return fmt.Errorf("output: %w", err)
	}
	path, err := layout.Write(folder, index)
	if err != nil {
		return fmt.Errorf("layout: %w", err)
	}
	digest, err := index.Digest()
	if err != nil {
		return fmt.Errorf("index: %w", err)
	}
	fmt.Printf("%s: %s@%s\n", path, tag, digest)
	return nil
}
