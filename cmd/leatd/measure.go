package main

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"

	"github.com/leatd/leat/cmd/leatd/config"
	"github.com/leatd/leat/collector/container"
	"github.com/leatd/leat/collector/node"
	"github.com/leatd/leat/exporter"
)

// measure makes the registry of everything that leatd shows: the node's figures and the containers', as far as they are
// on, the ledger's and its own.
func (a *agent) measure(ledger *exporter.Ledger) (*exporter.Registry, error) {
	registry := exporter.NewRegistry(version, revision(), ledger)
	registry.MustRegister(newFileMetrics(a.set, a.lanes, a.stores))
	if a.cfg.Metrics.Node {
		n, err := newNode(a.flags, a.cfg, a.log)
		if err != nil {
			return nil, err
		}
		if err := registry.RegisterNode(n); err != nil {
			return nil, err
		}
	}
	if m := a.cfg.Metrics; m.Containers {
		if container.PrivatePIDs(a.flags.ProcFS) {
			a.log.Warn(container.NoHostPIDs)
		}
		c := container.New(container.Options{
			ProcFS: a.flags.ProcFS, SysFS: a.flags.SysFS, RootFS: a.flags.RootFS, Pods: podLogs(a.flags, a.cfg),
			ID: slices.Contains(m.ContainerLabels, "id"), Image: slices.Contains(m.ContainerLabels, "image"),
			Timeout: m.CollectTimeout, Log: a.log,
		})
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("metrics of the containers: %w", err)
		}
	}
	return registry, nil
}

func newNode(flags *config.Flags, cfg *config.Config, log *slog.Logger) (*node.Collector, error) {
	return node.New(node.Options{
		ProcFS: flags.ProcFS, SysFS: flags.SysFS, RootFS: flags.RootFS, UdevData: flags.UdevData,
		Flags: flags.Collectors, Timeout: cfg.Metrics.CollectTimeout, Log: log,
	})
}

// podLogs is the folder of the containers' logs. It also has the containers' names, so it is known where no logs are read.
func podLogs(flags *config.Flags, cfg *config.Config) string {
	dir := cfg.Logs.Pods
	if dir == "" {
		dir = config.DefaultPods
	}
	return filepath.Join(flags.RootFS, dir)
}
