// Command shell runs a command on a Kubernetes node that lives as long as the command: a shell, if none is named. There
// kubectl, ctr and helm are at hand. It needs what `make e2e-kube` needs.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/leatd/leat/benchmarks/servers"
	"github.com/leatd/leat/deploy/kubetest"
)

func main() { os.Exit(kubetest.Run(prepare, inside)) }

func prepare(ctx context.Context, _ string) error {
	_, err := servers.Helm(ctx)
	return err
}

func inside(folder string) int {
	code, err := run(context.Background(), folder)
	if err != nil {
		fmt.Fprintln(os.Stderr, "shell:", err)
		return max(code, 1)
	}
	return code
}

func run(ctx context.Context, folder string) (int, error) {
	node, err := kubetest.Start(ctx, folder)
	if err != nil {
		return 1, err
	}
	helm, err := servers.Helm(ctx)
	if err != nil {
		return 1, err
	}
	if err := os.Symlink(helm, filepath.Join(folder, "bin/helm")); err != nil {
		return 1, err
	}
	args := os.Args[1:]
	if len(args) == 0 {
		args = []string{"/bin/sh"}
	}
	cmd := node.Command(ctx, args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Run(); cmd.ProcessState == nil {
		return 1, err
	}
	return max(cmd.ProcessState.ExitCode(), 0), nil
}
