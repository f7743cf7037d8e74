package container

import (
	"encoding/json"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// recordPaths is where runtimes keep what a container was made of, under the host's root; ID stands for its id.
var recordPaths = []string{
	"run/containerd/io.containerd.runtime.v2.task/k8s.io/ID/config.json",
	"run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/ID/config.json",
	"run/containers/storage/overlay-containers/ID/userdata/config.json",
	"var/lib/containers/storage/overlay-containers/ID/userdata/config.json",
	"var/lib/docker/containers/ID/config.v2.json",
}

// A record is what a runtime has written about a container. Fields that it does not say are empty.
type record struct {
	name
	image   string
	sandbox bool // a pod's pause container
	docker  bool // made by Docker without Kubernetes
}

// findRecord reads the runtime's file. One that is not there or cannot be used is none: it only adds to a name.
func findRecord(rootfs, id string, buf []byte) (r record, grown []byte) {
	for _, path := range recordPaths {
		fd, err := open(unix.AT_FDCWD, filepath.Join(rootfs, strings.Replace(path, "ID", id, 1)), 0)
		if err != nil {
			continue
		}
		var text []byte
		text, buf, err = slurp(fd, buf)
		unix.Close(fd)
		if err == nil {
			if r, ok := parseRecord(text); ok {
				return r, buf
			}
		}
	}
	return record{}, buf
}

// parseRecord reads an OCI runtime configuration with the annotations of containerd or CRI-O, or Docker's own file.
func parseRecord(text []byte) (r record, ok bool) {
	var file struct {
		Annotations map[string]string `json:"annotations"`
		Name        string
		Config      struct {
			Image  string
			Labels map[string]string
		}
	}
	if json.Unmarshal(text, &file) != nil {
		return record{}, false
	}
	first := func(values ...string) string {
		for _, v := range values {
			if v != "" && printable(v) {
				return v
			}
		}
		return ""
	}
	a, labels := file.Annotations, file.Config.Labels
	r.namespace = first(a["io.kubernetes.cri.sandbox-namespace"], a["io.kubernetes.pod.namespace"], labels["io.kubernetes.pod.namespace"])
	r.pod = first(a["io.kubernetes.cri.sandbox-name"], a["io.kubernetes.pod.name"], labels["io.kubernetes.pod.name"])
	r.container = first(a["io.kubernetes.cri.container-name"], a["io.kubernetes.container.name"], labels["io.kubernetes.container.name"])
	r.image = first(a["io.kubernetes.cri.image-name"], a["io.kubernetes.cri-o.ImageName"], file.Config.Image)
	switch first(a["io.kubernetes.cri.container-type"], a["io.kubernetes.cri-o.ContainerType"], labels["io.kubernetes.docker.type"]) {
	case "sandbox", "podsandbox":
		r.sandbox = true
	}
	if r.namespace == "" && r.pod == "" && a == nil {
		r.docker, r.container = true, first(strings.TrimPrefix(file.Name, "/"))
	}
	return r, true
}
