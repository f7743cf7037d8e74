package container

import (
	"bytes"
	"strings"
)

// containerID reads the name of a container's cgroup. The shapes, with the cgroup's path above it left out:
//
//	<id>                                         containerd and Docker, cgroupfs driver; only in a pod's or Docker's own cgroup
//	crio-<id>                                    CRI-O, cgroupfs driver
//	cri-containerd-<id>.scope                    containerd, systemd driver
//	crio-<id>.scope                              CRI-O, systemd driver
//	docker-<id>.scope                            Docker, systemd driver
//	kubepods-pod<uid>.slice:cri-containerd:<id>  containerd with cgroupfs under a kubelet with systemd
//
// An id is 64 hex digits, so crio-conmon-<id>.scope, CRI-O's monitor beside the container, is none.
func containerID(name []byte) (id []byte, bare, ok bool) {
	id = name
	if i := bytes.LastIndexByte(id, ':'); i >= 0 {
		id = id[i+1:]
	} else {
		id = bytes.TrimSuffix(id, []byte(".scope"))
		for _, runtime := range []string{"cri-containerd-", "crio-", "docker-"} {
			if rest, cut := bytes.CutPrefix(id, []byte(runtime)); cut {
				id = rest
				break
			}
		}
		bare = len(id) == len(name)
	}
	if len(id) != 64 {
		return nil, false, false
	}
	for _, c := range id {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return nil, false, false
		}
	}
	return id, bare, true
}

// podUID reads the name of a pod's cgroup: pod<uid> with the cgroupfs driver, …-pod<uid>.slice with systemd's, where
// the uid has _ for -. A static pod's uid is a hash.
func podUID(name []byte) (uid string, ok bool) {
	if slice, _, colon := bytes.Cut(name, []byte(":")); colon {
		name = slice
	}
	rest, systemd := bytes.CutSuffix(name, []byte(".slice"))
	i := bytes.LastIndex(rest, []byte("-pod"))
	switch {
	case systemd && i >= 0:
		rest = rest[i+len("-pod"):]
	case !systemd && bytes.HasPrefix(rest, []byte("pod")):
		rest = rest[len("pod"):]
	default:
		return "", false
	}
	if len(rest) < 8 || len(rest) > 64 {
		return "", false
	}
	for _, c := range rest {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && !(systemd && c == '_') {
			return "", false
		}
	}
	return strings.ReplaceAll(string(rest), "_", "-"), true
}

// holds tells whether pods or containers can be in a folder. At the top that is any (--cgroup-root and --cgroup-parent
// are free), but not the users' own, who can make cgroups of any name there.
func holds(name []byte, top bool) bool {
	if top {
		return string(name) != "user.slice"
	}
	switch string(name) {
	case "burstable", "besteffort", "docker", "containerd.service":
		return true
	}
	class, _ := bytes.CutSuffix(name, []byte(".slice"))
	class = bytes.TrimSuffix(bytes.TrimSuffix(class, []byte("-burstable")), []byte("-besteffort"))
	return bytes.HasSuffix(class, []byte("kubepods"))
}
