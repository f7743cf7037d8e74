package main

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"debug/elf"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

var testOptions = options{
	checkout: checkout, version: "1.2.3", tag: "example.org/leat", platforms: []string{"linux/amd64", "linux/arm64"},
}

// TestImage builds the image in two folders, which must give the same, and looks at what is in it.
func TestImage(t *testing.T) {
	first, second := testOptions, testOptions
	first.checkout, first.out = sources(t, checkout), t.TempDir()
	second.checkout, second.out = sources(t, first.checkout), t.TempDir()
	for _, o := range []options{first, second} {
		if err := run(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}

	index := open(t, first.out)
	if got, want := digest(t, open(t, second.out)), digest(t, index); got != want {
		t.Errorf("another folder gave another image: %s and %s", got, want)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var platforms []string
	for _, m := range manifest.Manifests {
		platforms = append(platforms, m.Platform.String())
		img, err := index.Image(m.Digest)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(m.Platform.String(), func(t *testing.T) { look(t, img, m.Platform.Architecture) })

		archive := filepath.Join(first.out, "leat-"+m.Platform.Architecture+".tar")
		list, err := tarball.LoadManifest(func() (io.ReadCloser, error) { return os.Open(archive) })
		if err != nil || len(list) != 1 || !slices.Equal(list[0].RepoTags, []string{"example.org/leat:1.2.3"}) {
			t.Errorf("%s: %+v, %v", archive, list, err)
		}
		same, err := tarball.ImageFromPath(archive, nil)
		if err != nil {
			t.Fatal(err)
		}
		if config, err := same.ConfigFile(); err != nil || config.Architecture != m.Platform.Architecture || config.Config.Entrypoint[0] != "/leatd" {
			t.Errorf("%s: %+v, %v", archive, config, err)
		}
	}
	if !slices.Equal(platforms, testOptions.platforms) {
		t.Errorf("platforms %q, want %q", platforms, testOptions.platforms)
	}
}

// sources copies what leatd is built from.
func sources(t *testing.T, checkout string) string {
	t.Helper()
	dir := t.TempDir()
	for _, folder := range []string{"cmd", "collector", "exporter", "pipeline", "sinks"} {
		if err := os.CopyFS(filepath.Join(dir, folder), os.DirFS(filepath.Join(checkout, folder))); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"go.mod", "go.sum", "Dockerfile"} {
		text, err := os.ReadFile(filepath.Join(checkout, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// look holds an image against what the Dockerfile is expected to say, in words of this test's own.
func look(t *testing.T, img v1.Image, architecture string) {
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.Architecture != architecture || config.OS != "linux" {
		t.Errorf("is for %s/%s", config.OS, config.Architecture)
	}
	c := config.Config
	if !slices.Equal(c.Entrypoint, []string{"/leatd"}) || c.Cmd != nil || c.User != "0:0" ||
		!reflect.DeepEqual(c.ExposedPorts, map[string]struct{}{"9110/tcp": {}}) {
		t.Errorf("runs %q %q as %q with ports %v", c.Entrypoint, c.Cmd, c.User, c.ExposedPorts)
	}
	for _, key := range []string{"title", "description", "source", "licenses", "version"} {
		if c.Labels["org.opencontainers.image."+key] == "" {
			t.Errorf("has no label %s: %v", key, c.Labels)
		}
	}
	if v := c.Labels["org.opencontainers.image.version"]; v != "1.2.3" {
		t.Errorf("is labelled %s", v)
	}

	files := contents(t, img)
	if got, want := list(files), "etc/ etc/ssl/ etc/ssl/certs/ etc/ssl/certs/ca-certificates.crt leatd"; got != want {
		t.Errorf("holds %s, want %s", got, want)
	}
	certificates := 0
	for rest := files["etc/ssl/certs/ca-certificates.crt"].content; len(rest) > 0; certificates++ {
		block, after := pem.Decode(rest)
		if block == nil {
			t.Fatal("the roots of trust are not PEM")
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			t.Error(err)
		}
		rest = after
	}
	if certificates < 100 {
		t.Errorf("has %d roots of trust", certificates)
	}
	leatd := files["leatd"]
	if leatd.mode != 0o755 {
		t.Errorf("/leatd has mode %o", leatd.mode)
	}
	program, err := elf.NewFile(bytes.NewReader(leatd.content))
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	if want := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[architecture]; program.Machine != want {
		t.Errorf("/leatd is for %s", program.Machine)
	}
	for _, p := range program.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("/leatd is not static")
		}
	}
	if architecture != runtime.GOARCH {
		return
	}
	path := filepath.Join(t.TempDir(), "leatd")
	if err := os.WriteFile(path, leatd.content, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(path, "version").CombinedOutput(); err != nil || !strings.HasPrefix(string(out), "leatd 1.2.3 (") {
		t.Errorf("leatd version: %s, %v", out, err)
	}
}

// contents are an image's files by name, folders with a slash at the end.
func contents(t *testing.T, img v1.Image) map[string]file {
	t.Helper()
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]file{}
	for _, layer := range layers {
		r, err := layer.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		whole, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		// Go's reader does not miss the two empty blocks at an archive's end, nor the rest of the last file's; others do.
		if end := make([]byte, 1024); len(whole)%512 != 0 || !bytes.HasSuffix(whole, end) {
			t.Errorf("a layer of %d bytes is no whole archive", len(whole))
		}
		archive := tar.NewReader(bytes.NewReader(whole))
		for {
			h, err := archive.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if h.Uid != 0 || h.Gid != 0 || h.ModTime.Unix() != 0 {
				t.Errorf("%s is of %d:%d and %s", h.Name, h.Uid, h.Gid, h.ModTime)
			}
			content, err := io.ReadAll(archive)
			if err != nil {
				t.Fatal(err)
			}
			files[h.Name] = file{content, h.Mode}
		}
	}
	return files
}

func list(files map[string]file) string {
	var names []string
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

func open(t *testing.T, out string) v1.ImageIndex {
	t.Helper()
	index, err := layout.ImageIndexFromPath(filepath.Join(out, "oci"))
	if err != nil {
		t.Fatal(err)
	}
	return index
}

func digest(t *testing.T, index v1.ImageIndex) string {
	t.Helper()
	d, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d.String()
}

// TestRunRefuses: what can't be built is said before anything is compiled.
func TestRunRefuses(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*options){
		"no checkout":     func(o *options) { o.checkout = t.TempDir() },
		"bad tag":         func(o *options) { o.tag = "No Name" },
		"no platform":     func(o *options) { o.platforms = []string{""} },
		"half a platform": func(o *options) { o.platforms = []string{"linux"} },
	} {
		o := testOptions
		o.out = t.TempDir()
		change(&o)
		if err := run(t.Context(), o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestUnknownFile: a file that the Dockerfile copies and nobody makes must not be left out.
func TestUnknownFile(t *testing.T) {
	t.Parallel()
	s := &stage{copies: []copied{{"/x", "/x"}}}
	if _, err := s.image(v1.Platform{OS: "linux", Architecture: "amd64"}, nil); err == nil {
		t.Error("no error")
	}
	if _, err := s.image(v1.Platform{OS: "linux", Architecture: "amd64"}, map[string]file{"/x": {fmt.Append(nil, "y"), 0o644}}); err != nil {
		t.Error(err)
	}
}
