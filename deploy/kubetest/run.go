package kubetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/leatd/leat/benchmarks/servers"
)

// stageEnv and folderEnv tell the program that was started again what it is, and where its folder is.
const (
	stageEnv  = "LEAT_KUBETEST_STAGE"
	folderEnv = "LEAT_KUBETEST_FOLDER"

	stageInit   = "init"
	stageInside = "inside"
)

// prefix begins the name of every temporary folder and cgroup.
const prefix = "leat-kube-"

// packages are what the node takes from Debian.
var packages = []string{"containerd", "runc", "containernetworking-plugins", "etcd-server", "iptables"}

// Run calls inside in the namespaces of a node to be, with the node's folder, and returns its result, which is an exit code.
// It starts the program again with the same arguments, so main or TestMain calls it first and exits with what it returns.
// Before that prepare is called with the same folder on the machine, where there is a network: what is downloaded or built
// belongs there. Where no node can run, Run says why on standard error and returns 0 without calling either.
func Run(prepare func(ctx context.Context, folder string) error, inside func(folder string) int) int {
	switch os.Getenv(stageEnv) {
	case stageInside:
		return inside(os.Getenv(folderEnv))
	case stageInit:
		code, err := initialize(os.Getenv(folderEnv))
		return report(code, err)
	}
	if err := unable(); err != nil {
		fmt.Fprintf(os.Stderr, "\n*** NOT TESTED: no Kubernetes node can run here: %v ***\n\n", err)
		return 0
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	return report(outside(ctx, prepare))
}

func report(code int, err error) int {
	if err != nil {
		fmt.Fprintln(os.Stderr, "kubetest:", err)
		return max(code, 1)
	}
	return code
}

// outside is Run's part on the machine.
func outside(ctx context.Context, prepare func(context.Context, string) error) (code int, err error) {
	if _, err := servers.Kubernetes(ctx); err != nil {
		return 1, err
	}
	if _, err := servers.CoreDNS(ctx); err != nil {
		return 1, err
	}
	if _, err := servers.Debian(ctx, packages...); err != nil {
		return 1, err
	}
	if err := removeLeftovers(); err != nil {
		return 1, err
	}
	f, err := newFolder()
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, f.remove()) }()
	if err := errors.Join(writeWorkloadImage(ctx, f.path), prepare(ctx, f.path)); err != nil {
		return 1, err
	}
	if err := makeCgroup(filepath.Base(f.path)); err != nil {
		return 1, err
	}
	executable, err := os.Executable()
	if err != nil {
		return 1, err
	}
	cmd := exec.CommandContext(ctx, executable, os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), stageEnv+"="+stageInit, folderEnv+"="+f.path)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS,
		Pdeathsig:  syscall.SIGKILL,
	}
	runtime.LockOSThread() // the kernel sends the death signal when the thread that forked ends
	defer runtime.UnlockOSThread()
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0, nil
	case errors.As(err, &exit) && exit.Exited():
		return exit.ExitCode(), nil // it has said why
	}
	return 1, err
}

// unable says why no node can run here, nil if one can as far as that is known without trying.
func unable() error {
	if os.Geteuid() != 0 {
		return errors.New("it needs root")
	}
	for _, tool := range []string{"apt-get", "dpkg"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("it needs Debian's packages: %w", err)
		}
	}
	filesystems, err := os.ReadFile("/proc/filesystems")
	if err != nil {
		return err
	}
	if !strings.Contains(string(filesystems), "\toverlay\n") {
		return errors.New("the kernel has no overlayfs (modprobe overlay)")
	}
	var st unix.Statfs_t
	if err := unix.Statfs(os.TempDir(), &st); err != nil {
		return err
	}
	if st.Type == unix.OVERLAYFS_SUPER_MAGIC {
		return fmt.Errorf("it needs a TMPDIR that is not on overlayfs itself, unlike %s", os.TempDir())
	}
	roots, err := cgroupRoots()
	if err != nil {
		return err
	}
	for _, root := range roots {
		probe, err := os.MkdirTemp(root, prefix+"probe-")
		if err != nil {
			return fmt.Errorf("it needs cgroups that can be written: %w", err)
		}
		os.Remove(probe)
	}
	cmd := exec.Command("true")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("it needs namespaces: %w", err)
	}
	return hidden()
}

// hidden says whether something that is needed lies in a folder that the node has for itself.
func hidden() error {
	checkout, err := os.Getwd()
	if err != nil {
		return err
	}
	cache, err := servers.Cache()
	if err != nil {
		return err
	}
	for _, path := range []string{checkout, cache, os.TempDir()} {
		for _, own := range []string{"/var/lib", "/var/log", "/run", "/proc", "/sys"} {
			if path == own || strings.HasPrefix(path, own+"/") {
				return fmt.Errorf("the checkout, LEAT_CACHE and TMPDIR must not be in %s, of which the node has its own: %s", own, path)
			}
		}
	}
	return nil
}
