package servers

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// modulePath finds the project's own go.mod, whose folder is the root of the checkout.
const modulePath = "github.com/leatd/leat"

// A program is a server that is built from a nested module beside this file.
type program struct {
	name     string
	module   string   // its folder
	packages string   // what `go build` builds there
	args     []string // further arguments of `go build`
}

var (
	loki         = program{"loki", "loki", "github.com/grafana/loki/v3/cmd/loki", []string{"-tags=netgo"}}
	otelsink     = program{"otelsink", "otelsink", ".", nil}
	nodeExporter = program{"nodeexporter", "nodeexporter", "github.com/prometheus/node_exporter", nil}
	prometheus   = program{"prometheus", "prometheus", "github.com/prometheus/prometheus/cmd/prometheus", fewDiscoveries}
	promtool     = program{"promtool", "prometheus", "github.com/prometheus/prometheus/cmd/promtool", fewDiscoveries}
	helm         = program{"helm", "helm", "helm.sh/helm/v3/cmd/helm", kubernetesVersion}

	// kubernetes and coredns are not among the programs that Build builds: only a node needs them, and it takes longer than
	// all the others.
	kubernetes = program{"kubernetes", "kubernetes", ".", kubernetesArgs}
	coredns    = program{"coredns", "coredns", ".", nil}

	programs = []program{loki, otelsink, nodeExporter, prometheus, promtool, helm}
)

// fewDiscoveries leaves out the clients of two dozen clouds, which are most of what there is to build, and keeps the ways in
// which deploy/prometheus/scrape.yaml finds leatd.
var fewDiscoveries = []string{"-tags=remove_all_sd,enable_dns_sd,enable_kubernetes_sd"}

// kubernetesArgs tell the release, which is part of what an API server answers, and by which kubectl and a kubelet judge it.
var kubernetesArgs = []string{
	"-tags=grpcnotrace",
	"-ldflags=-s -w" +
		" -X k8s.io/component-base/version.gitVersion=" + kubernetesRelease +
		" -X k8s.io/client-go/pkg/version.gitVersion=" + kubernetesRelease,
}

const kubernetesRelease = "v1.34.4" // as benchmarks/servers/kubernetes/go.mod requires it

// kubernetesVersion is the one that Helm takes a cluster for that it can't ask: as in its releases that of its client-go.
var kubernetesVersion = []string{"-ldflags=-s -w -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=37 -X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor=37"}

// PrometheusBinary is the path of Prometheus for those who run it elsewhere, in a pod; StartPrometheus runs it here.
func PrometheusBinary(ctx context.Context) (string, error) { return prometheus.binary(ctx) }

// Promtool is the path of Prometheus' own checker of rules and configurations, which is built if it is not there.
func Promtool(ctx context.Context) (string, error) { return promtool.binary(ctx) }

// Helm is the path of Kubernetes' package manager, which is built if it is not there.
func Helm(ctx context.Context) (string, error) { return helm.binary(ctx) }

// Kubernetes is the path of API server, controllers, scheduler, kubelet, kube-proxy and kubectl in one binary, which is built
// if it is not there: some minutes the first time. Package kubetest makes a node of it.
func Kubernetes(ctx context.Context) (string, error) { return kubernetes.binary(ctx) }

// CoreDNS is the path of the cluster's DNS server, which is built if it is not there.
func CoreDNS(ctx context.Context) (string, error) { return coredns.binary(ctx) }

// Build builds what is not yet in the cache and returns the paths of all servers' binaries.
func Build(ctx context.Context) ([]string, error) {
	var paths []string
	for _, p := range programs {
		path, err := p.binary(ctx)
		if err != nil {
			return paths, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// binary is the path of the program in the cache, built first if it is not there. The name carries a hash of the
// module's files and of the way it is built, so a change of either gives another binary. One builds, others wait.
func (p program) binary(ctx context.Context) (string, error) {
	dir, path, err := p.place()
	if err != nil {
		return "", fmt.Errorf("%s: build: %w", p.name, err)
	}
	build := append([]string{"build", "-C", dir, "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags=-s -w"}, p.args...)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	unlock, err := lock(filepath.Join(filepath.Dir(path), p.name+".lock"))
	if err != nil {
		return "", fmt.Errorf("%s: build: %w", p.name, err)
	}
	defer unlock()
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	unfinished := fmt.Sprintf("%s.%d.tmp", path, os.Getpid())
	defer os.Remove(unfinished)
	cmd := exec.CommandContext(ctx, "go", append(build, "-o", unfinished, p.packages)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: %s: %w\n%s", p.name, cmd, err, out)
	}
	if err := os.Rename(unfinished, path); err != nil {
		return "", fmt.Errorf("%s: build: %w", p.name, err)
	}
	return path, nil
}

// place is where the program's module is, and where its binary is in the cache or will be.
func (p program) place() (dir, path string, err error) {
	root, err := checkout()
	if err != nil {
		return "", "", err
	}
	dir = filepath.Join(root, "benchmarks", "servers", p.module)
	hash, err := p.hash(dir)
	if err != nil {
		return "", "", err
	}
	bin, err := Cache()
	if err != nil {
		return "", "", err
	}
	return dir, filepath.Join(bin, p.name+"-"+hash), nil
}

// hash is made of all that decides what is built, but for the Go release: any will do.
func (p program) hash(dir string) (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, p.packages, p.args)
	entries, err := os.ReadDir(dir) // sorted
	if err != nil {
		return "", err
	}
	for _, entry := range entries {
		file := filepath.Join(dir, entry.Name())
		if ext := filepath.Ext(file); ext != ".go" && ext != ".mod" && ext != ".sum" {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s %d\n%s", entry.Name(), len(text), text)
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:6]), nil
}

// Cache is the folder where servers are kept: $LEAT_CACHE/bin, by default leat/bin in the user's cache.
func Cache() (string, error) {
	cache := os.Getenv("LEAT_CACHE")
	if cache == "" {
		user, err := os.UserCacheDir() // $XDG_CACHE_HOME, else $HOME/.cache
		if err != nil {
			return "", fmt.Errorf("cache: set LEAT_CACHE to a folder: %w", err)
		}
		cache = filepath.Join(user, "leat")
	}
	bin, err := filepath.Abs(filepath.Join(cache, "bin"))
	if err != nil {
		return "", err
	}
	return bin, os.MkdirAll(bin, 0o755)
}

// lock waits until no other process holds the file's lock. The kernel lets go of it if the holder dies.
func lock(path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		if err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX); !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() { file.Close() }, nil
}

// checkout is the folder of the project's go.mod at or above the working folder; a test's is its package's.
func checkout() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(text), "module "+modulePath+"\n") {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("no go.mod of %s at or above the working folder: run this in a checkout", modulePath)
		}
		dir = parent
	}
}
