package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// A file is what a stage copies.
type file struct {
	content []byte
	mode    int64
}

// image makes the image of a stage: a layer for each COPY, no times.
func (s *stage) image(platform v1.Platform, files map[string]file) (v1.Image, error) {
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	for _, c := range s.copies {
		f, ok := files[c.from]
		if !ok {
			return nil, fmt.Errorf("nothing is known of %s, which the Dockerfile copies", c.from)
		}
		archive, err := archiveOf(c.to, f)
		if err != nil {
			return nil, err
		}
		open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive)), nil }
		layer, err := tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer))
		if err != nil {
			return nil, err
		}
		img, err = mutate.Append(img, mutate.Addendum{
			Layer:   layer,
			History: v1.History{Created: v1.Time{Time: time.Unix(0, 0).UTC()}, CreatedBy: "COPY " + c.from + " " + c.to},
		})
		if err != nil {
			return nil, err
		}
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = platform.OS, platform.Architecture
	config.Created = v1.Time{Time: time.Unix(0, 0).UTC()}
	config.Config = v1.Config{
		User:         s.user,
		Entrypoint:   s.entrypoint,
		Labels:       s.labels,
		WorkingDir:   "/",
		Env:          []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, // as engines set it
		ExposedPorts: map[string]struct{}{},
	}
	for _, port := range s.ports {
		config.Config.ExposedPorts[port] = struct{}{}
	}
	return mutate.ConfigFile(img, config)
}

// archiveOf is a tar of one file and the folders above it, all of them root's.
func archiveOf(name string, f file) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	header := func(h tar.Header) error {
		h.Format, h.ModTime = tar.FormatUSTAR, time.Unix(0, 0)
		return w.WriteHeader(&h)
	}
	name = strings.TrimPrefix(path.Clean(name), "/")
	for i, c := range name {
		if c != '/' {
			continue
		}
		if err := header(tar.Header{Typeflag: tar.TypeDir, Name: name[:i+1], Mode: 0o755}); err != nil {
			return nil, err
		}
	}
	if err := header(tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: f.mode, Size: int64(len(f.content))}); err != nil {
		return nil, err
	}
	if _, err := w.Write(f.content); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil { // which writes the end of the archive: only then is b whole
		return nil, err
	}
	return b.Bytes(), nil
}

// A built image is of one platform.
type built struct {
	platform v1.Platform
	image    v1.Image
}

// indexOf joins the images of all platforms. The annotation is the name under which containerd imports them.
func indexOf(images []built, name string) v1.ImageIndex {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, b := range images {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        b.image,
			Descriptor: v1.Descriptor{Platform: &b.platform, Annotations: map[string]string{"io.containerd.image.name": name}},
		})
	}
	return index
}
