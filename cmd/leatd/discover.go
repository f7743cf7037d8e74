package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/leatd/leat/cmd/leatd/config"
	"github.com/leatd/leat/collector/hostfiles"
	"github.com/leatd/leat/collector/podlogs"
	"github.com/leatd/leat/pipeline"
)

// What must come true before leatd is ready.
const (
	stateLocked = "the state folder is locked"
	podsFound   = "the first look for container logs is done"
	filesFound  = "the first look for host files is done"
)

// conditions are what must come true before leatd is ready.
func (a *agent) conditions() []string {
	all := []string{stateLocked}
	if a.looksForPods() {
		all = append(all, podsFound)
	}
	if a.looksForFiles() {
		all = append(all, filesFound)
	}
	return all
}

func (a *agent) looksForPods() bool  { return a.cfg.Logs.Pods != "" && len(a.logSinks()) > 0 }
func (a *agent) looksForFiles() bool { return len(a.cfg.Logs.Files) > 0 && len(a.logSinks()) > 0 }

// discover starts the two ways of finding logs.
func (a *agent) discover(ctx context.Context, wg *sync.WaitGroup, failed chan<- error) {
	looking := &countdown{then: a.set.Ready}
	looking.left.Store(1) // this function's own, so that it can't come to nothing before all are started
	labels := sortedLabels(a.cfg.Labels)
	start := func(name, condition string, run func(ready func(), beat func(bool)) error) {
		looking.left.Add(1)
		beat := a.health.Beat(name)
		wg.Go(func() {
			err := run(func() { a.ready.Set(condition); looking.done() }, func(busy bool) {
				if busy {
					beat.Busy()
				} else {
					beat.Waiting()
				}
			})
			if err != nil {
				failed <- fmt.Errorf("%s: %w", name, err)
			}
		})
	}
	if a.looksForPods() {
		start("discovery of container logs", podsFound, func(ready func(), beat func(bool)) error {
			return podlogs.New(podlogs.Options{
				Root: filepath.Join(a.flags.RootFS, a.cfg.Logs.Pods), RootFS: a.flags.RootFS, Node: a.cfg.Node, Labels: labels,
				Include: a.wants(), Files: a.set, Ready: ready, Beat: beat, Log: a.log,
			}).Run(ctx)
		})
	}
	if a.looksForFiles() {
		globs := make([]hostfiles.Glob, 0, len(a.cfg.Logs.Files))
		for _, f := range a.cfg.Logs.Files {
			globs = append(globs, hostfiles.Glob{Path: filepath.Join(a.flags.RootFS, f.Path), Labels: sortedLabels(f.Labels)})
		}
		start("discovery of host files", filesFound, func(ready func(), beat func(bool)) error {
			return hostfiles.New(hostfiles.Options{
				Globs: globs, RootFS: a.flags.RootFS, Node: a.cfg.Node, Labels: labels, Files: a.set, Ready: ready, Beat: beat, Log: a.log,
			}).Run(ctx)
		})
	}
	looking.done()
}

// wants is which containers are read. With a console sink, leatd's own container is not: it would read what it writes.
func (a *agent) wants() func(namespace, pod, container string) bool {
	own := ""
	for _, s := range a.cfg.Sinks {
		if s.Type == config.TypeConsole {
			own = ownPod()
		}
	}
	return func(namespace, pod, container string) bool {
		return (own == "" || pod != own) && a.cfg.Logs.Wants(namespace, pod, container)
	}
}

// A countdown calls then when the last of several has said that it is done.
type countdown struct {
	left atomic.Int32
	then func()
}

func (c *countdown) done() {
	if c.left.Add(-1) == 0 {
		c.then()
	}
}

func sortedLabels(m map[string]string) []pipeline.Label {
	labels := make([]pipeline.Label, 0, len(m))
	for name, value := range m {
		labels = append(labels, pipeline.Label{Name: name, Value: value})
	}
	slices.SortFunc(labels, func(a, b pipeline.Label) int { return strings.Compare(a.Name, b.Name) })
	return labels
}
