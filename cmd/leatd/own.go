package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/leatd/leat/pipeline"
)

// ownPod is the name of the pod that leatd runs in; on a plain host it is no pod's.
func ownPod() string {
	if name := os.Getenv("POD_NAME"); name != "" {
		return name
	}
	name, _ := os.Hostname()
	return name
}

// partWithOwn takes the logs of leatd's own earlier pods as ended where the kubelet has removed them. leatd can't read what
// it writes while it stops, and with a pod the kubelet deletes its log, often before the next leatd is there: so every
// update would leave a gap on every node, and an alert that says nothing. It is said here instead, and by every audit.
func (a *agent) partWithOwn(cursors *pipeline.Store) {
	namespace, pod := os.Getenv("POD_NAMESPACE"), os.Getenv("POD_NAME")
	if !a.looksForPods() {
		return
	}
	root := filepath.Join(a.flags.RootFS, a.cfg.Logs.Pods)
	parted := cursors.Finish(func(key string) bool {
		return isOwn(key, namespace, pod) && noFiles(filepath.Join(root, key))
	})
	if len(parted) > 0 {
		a.log.Info("the kubelet has removed the logs of leatd's own earlier pods: what they logged last was not read", "logs", parted)
	}
}

// ownContainers are those that run leatd in its pods; beside them may be others, whose lines are missed.
var ownContainers = []string{"leatd", "check", "handover"}

// isOwn tells whether a target's key, NAMESPACE_POD_UID/CONTAINER, is that of a pod like leatd's own: with the same name,
// as static pods have, or with the same name but for the five characters that a DaemonSet's pods end in.
func isOwn(key, namespace, pod string) bool {
	folder, container, _ := strings.Cut(key, "/")
	parts := strings.Split(folder, "_")
	return len(parts) == 3 && namespace != "" && parts[0] == namespace && pod != "" &&
		(parts[1] == pod || generated(parts[1]) != "" && generated(parts[1]) == generated(pod)) &&
		slices.Contains(ownContainers, container)
}

// generated is what a name begins with that ends in a dash and five characters of the API server's choice; else empty.
func generated(name string) string {
	if i := strings.LastIndexByte(name, '-'); i == len(name)-6 {
		return name[:i+1]
	}
	return ""
}

// noFiles tells that a container's folder is gone or empty. It is false where that is not known.
func noFiles(folder string) bool {
	entries, err := os.ReadDir(folder)
	return len(entries) == 0 && (err == nil || errors.Is(err, fs.ErrNotExist))
}
