package kubetest

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/leatd/leat/benchmarks/servers"
)

//go:embed config
var configs embed.FS

// A Node is a node with its control plane. There is one at a time: ports and folders are fixed.
type Node struct {
	Folder     string // of everything that is not where a node has it
	Manifests  string // the kubelet's folder for static pods
	AuditLog   string // of the API server: one JSON object for each request
	Kubeconfig string // of a user who may do everything

	kubernetes, coredns, debian, bin string
	programs                         string   // folders, as in PATH
	env                              []string // of every program on the node
}

// startTime is how long one part may take until it serves.
const startTime = 90 * time.Second

// Start starts a node in the folder that Run has given, and returns when pods can run on it. Nothing stops it but the end
// of Run.
func Start(ctx context.Context, folder string) (*Node, error) {
	n := &Node{
		Folder: folder, Manifests: filepath.Join(folder, "manifests"), AuditLog: filepath.Join(folder, "audit.log"),
		Kubeconfig: filepath.Join(folder, "etc/admin.kubeconfig"), bin: filepath.Join(folder, "bin"),
	}
	var err error
	if n.kubernetes, err = servers.Kubernetes(ctx); err != nil {
		return nil, err
	}
	if n.coredns, err = servers.CoreDNS(ctx); err != nil {
		return nil, err
	}
	if n.debian, err = servers.Debian(ctx, packages...); err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context) error{
		n.writeFiles, n.chooseFirewall, n.startRuntime, n.startControlPlane, n.startKubelet, n.startServices,
	} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return n, nil
}

func (n *Node) path(name string) string { return filepath.Join(n.Folder, name) }

// writeFiles writes configurations and certificates to etc, and makes the programs findable.
func (n *Node) writeFiles(context.Context) error {
	for _, name := range []string{"etc", "bin", "log", "manifests", "plugins", "addresses"} {
		if err := os.Mkdir(n.path(name), 0o755); err != nil {
			return err
		}
	}
	if err := writeCerts(n.path("etc")); err != nil {
		return err
	}
	entries, err := fs.ReadDir(configs, "config")
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if name := entry.Name(); name != "kubeconfig" {
			err = errors.Join(err, n.render(name, name, ""))
		}
	}
	for user := range users {
		err = errors.Join(err, n.render("kubeconfig", user+".kubeconfig", user))
	}
	kubectl := fmt.Sprintf("#!/bin/sh\nexec %s kubectl \"$@\"\n", n.kubernetes)
	n.programs = n.bin + ":" + n.debian + "/usr/bin:" + n.debian + "/usr/sbin:" + os.Getenv("PATH")
	n.env = append(os.Environ(),
		"PATH="+n.programs,
		"LD_LIBRARY_PATH="+strings.Join(n.libraries(""), ":"),
		"XTABLES_LIBDIR="+strings.Join(n.libraries("xtables"), ":"),
		"KUBECONFIG="+n.Kubeconfig, "CONTAINERD_NAMESPACE=k8s.io",
	)
	return errors.Join(err, os.WriteFile(filepath.Join(n.bin, "kubectl"), []byte(kubectl), 0o755))
}

// libraries are the folders of libraries of Debian's packages, usr/lib/ARCHITECTURE, and what is in them.
func (n *Node) libraries(below string) []string {
	folders, _ := filepath.Glob(filepath.Join(n.debian, "usr/lib/*-linux-gnu*", below)) // the pattern is a good one
	return folders
}

func (n *Node) render(name, to, user string) error {
	t, err := template.ParseFS(configs, "config/"+name)
	if err != nil {
		return err
	}
	f, err := os.Create(n.path("etc/" + to))
	if err != nil {
		return err
	}
	defer f.Close()
	return t.Execute(f, map[string]string{
		"Folder": n.Folder, "Debian": n.debian, "Cgroup": filepath.Base(n.Folder), "Node": NodeName, "IP": NodeIP, "User": user,
	})
}

// chooseFirewall makes iptables one of Debian's two: that for nftables if the kernel has them, else that of before.
func (n *Node) chooseFirewall(ctx context.Context) error {
	var tried error
	for _, kind := range []string{"xtables-nft-multi", "xtables-legacy-multi"} {
		multi := filepath.Join(n.debian, "usr/sbin", kind)
		if err := n.Command(ctx, multi, "iptables", "-t", "nat", "-S").Run(); err != nil {
			tried = errors.Join(tried, fmt.Errorf("%s: %w", kind, err))
			continue
		}
		var err error
		for _, name := range []string{"iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore"} {
			err = errors.Join(err, os.Symlink(multi, filepath.Join(n.bin, name)))
		}
		return err
	}
	return fmt.Errorf("iptables: %w: ports of the node need NAT in the kernel", tried)
}

func (n *Node) startRuntime(ctx context.Context) error {
	if err := n.start("containerd", "containerd", "--config", n.path("etc/containerd.toml")); err != nil {
		return err
	}
	if err := n.serves(ctx, "containerd", "ctr", "version"); err != nil {
		return err
	}
	return n.Import(ctx, n.path(workloadArchive))
}

// startControlPlane starts all parts on their usual ports. Those that the kubelet or a test asks listen on the node's
// address, the others on loopback.
func (n *Node) startControlPlane(ctx context.Context) error {
	etc := n.path("etc")
	if err := n.start("etcd", "etcd", "--data-dir", n.path("etcd")); err != nil {
		return err
	}
	if err := n.start("apiserver", n.kubernetes, "apiserver",
		"--etcd-servers=http://127.0.0.1:2379", "--bind-address="+NodeIP, "--advertise-address="+NodeIP,
		"--service-cluster-ip-range="+services, "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true", "--client-ca-file="+etc+"/ca.crt",
		"--tls-cert-file="+etc+"/apiserver.crt", "--tls-private-key-file="+etc+"/apiserver.key",
		"--kubelet-client-certificate="+etc+"/admin.crt", "--kubelet-client-key="+etc+"/admin.key",
		"--kubelet-preferred-address-types=InternalIP", "--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file="+etc+"/tokens.key", "--service-account-signing-key-file="+etc+"/tokens.key",
		"--audit-policy-file="+etc+"/audit.yaml", "--audit-log-path="+n.AuditLog, "--audit-log-mode=blocking-strict",
	); err != nil {
		return err
	}
	if err := n.serves(ctx, "apiserver", "kubectl", "get", "--raw", "/readyz"); err != nil {
		return err
	}
	controllers, scheduler := etc+"/controllers.kubeconfig", etc+"/scheduler.kubeconfig"
	return errors.Join(
		n.start("controllers", n.kubernetes, "controllers", "--kubeconfig="+controllers, "--authentication-kubeconfig="+controllers,
			"--authorization-kubeconfig="+controllers, "--bind-address=127.0.0.1", "--leader-elect=false",
			"--use-service-account-credentials=true", "--root-ca-file="+etc+"/ca.crt", "--service-account-private-key-file="+etc+"/tokens.key"),
		n.start("scheduler", n.kubernetes, "scheduler", "--kubeconfig="+scheduler, "--authentication-kubeconfig="+scheduler,
			"--authorization-kubeconfig="+scheduler, "--bind-address=127.0.0.1", "--leader-elect=false"),
	)
}

func (n *Node) startKubelet(ctx context.Context) error {
	if err := n.start("kubelet", n.kubernetes, "kubelet", "--config="+n.path("etc/kubelet.yaml"),
		"--kubeconfig="+n.path("etc/kubelet.kubeconfig"), "--hostname-override="+NodeName, "--node-ip="+NodeIP,
		"--containerd=/run/containerd/containerd.sock", // without it /metrics/cadvisor knows no container
	); err != nil {
		return err
	}
	// Pods can be made when the controllers have made the account that they run as.
	for _, question := range [][]string{
		{"wait", "node/" + NodeName, "--for=condition=Ready", "--timeout=1s"},
		{"get", "serviceaccount", "default"},
	} {
		if err := n.serves(ctx, "kubelet", "kubectl", question...); err != nil {
			return err
		}
	}
	return nil
}

// startServices starts what makes Services more than a list of endpoints: kube-proxy gives them addresses, CoreDNS names.
func (n *Node) startServices(ctx context.Context) error {
	if err := errors.Join(
		n.start("proxy", n.kubernetes, "proxy", "--config="+n.path("etc/proxy.yaml")),
		n.start("dns", n.coredns, "-conf", n.path("etc/Corefile")),
	); err != nil {
		return err
	}
	// What is asked too early is dropped, and neither a connection nor the resolver asks again before a second has passed.
	const patience = 300 * time.Millisecond
	if err := n.ready(ctx, "proxy", func(ctx context.Context) error {
		conn, err := (&net.Dialer{Timeout: patience}).DialContext(ctx, "tcp", serviceIP+":443")
		if err == nil {
			err = conn.Close()
		}
		return err
	}); err != nil {
		return fmt.Errorf("%w\nkube-proxy needs of the kernel: NAT, and iptables' addrtype, comment, conntrack, mark and statistic", err)
	}
	return n.ready(ctx, "dns", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		addresses, err := Resolver().LookupHost(ctx, "kubernetes.default.svc.cluster.local.")
		if err == nil && !slices.Equal(addresses, []string{serviceIP}) {
			err = fmt.Errorf("the API server's Service has the addresses %q", addresses)
		}
		return err
	})
}

// Resolver asks the cluster's DNS, as pods do.
func Resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, NodeIP+":53")
	}}
}

// Command is a program of the node: kubectl, ctr and everything of the machine, with the environment for it. Those of the
// node go before those of the machine.
func (n *Node) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	if !filepath.IsAbs(name) {
		for _, folder := range filepath.SplitList(n.programs) {
			if info, err := os.Stat(filepath.Join(folder, name)); err == nil && !info.IsDir() {
				name = filepath.Join(folder, name)
				break
			}
		}
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = n.env
	return cmd
}

// Import puts the images of an archive, as `docker save` or OCI tools write them, into the node's runtime.
func (n *Node) Import(ctx context.Context, archive string) error {
	if out, err := n.Command(ctx, "ctr", "images", "import", archive).CombinedOutput(); err != nil {
		return fmt.Errorf("import %s: %w\n%s", archive, err, out)
	}
	return nil
}

// start starts a part of the node. What it says goes to log/NAME.log.
func (n *Node) start(name, program string, args ...string) error {
	log, err := os.Create(n.path("log/" + name + ".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := n.Command(context.Background(), program, args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%s: start: %w", name, err)
	}
	go cmd.Wait() // it lives as long as the node; PID 1 ends both
	return nil
}

// serves waits until a command that asks a part of the node has no error.
func (n *Node) serves(ctx context.Context, part, name string, args ...string) error {
	return n.ready(ctx, part, func(ctx context.Context) error {
		out, err := n.Command(ctx, name, args...).CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, out)
		}
		return err
	})
}

// ready waits until a question to a part of the node has no error.
func (n *Node) ready(ctx context.Context, part string, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	if err := poll(ctx, 200*time.Millisecond, func() error { return ask(ctx) }); err != nil {
		return fmt.Errorf("%s: does not serve: %w\n%s", part, err, n.Log(part, 4<<10))
	}
	return nil
}

// Log is the end of what a part of the node has said.
func (n *Node) Log(part string, bytes int) string {
	text, err := os.ReadFile(n.path("log/" + part + ".log"))
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-bytes):])
}
