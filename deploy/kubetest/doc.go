// Package kubetest runs a real Kubernetes node with its control plane: etcd, API server, controller manager, scheduler,
// kubelet, kube-proxy, CoreDNS, containerd and runc. Kubernetes and CoreDNS are built from their Go modules, the rest comes
// from Debian's packages, which are unpacked into the cache and not installed. The tests behind the tag e2ekube install the
// chart on it.
//
// # What is around it
//
// The node lives in namespaces of its own (mount, PID, network, IPC and host name), as a machine in the machine, and with
// it whoever uses it:
//
//	Run, on the machine      builds what is missing, makes a temporary folder and a cgroup, starts ↓, waits, removes both
//	 └ PID 1 of the node     mounts, brings the interfaces up, starts ↓, reaps whatever loses its parent
//	    └ the user's code    Start makes the node of it; the tests run here
//	       ├ etcd, containerd, the parts of Kubernetes
//	       └ Loki, helm, kubectl, ...
//
// So the node has /var/log, /var/lib, /etc, /run, /proc, /sys, its interfaces, its firewall rules and all ports for itself; what
// the kubelet wants of the kernel's settings it finds in files that are mounted over them. Nothing of the machine
// changes but for the cgroup /leat-kube-* and the temporary folder leat-kube-*.
//
// # How it ends
//
// When PID 1 ends, the kernel kills everything in the node and drops its mounts and interfaces. PID 1 ends when the user's
// code returns, and the kernel kills it when Run's process is killed. Folder and cgroup then stay behind: the next Run
// removes those whose folder nobody holds locked.
//
// # What it is not
//
// Pods reach nothing outside, and DNS knows the names of the cluster only; it is no pod but a process of the node, at the
// node's address. Cgroups are those of the machine, v1 or v2, by the cgroupfs driver.
package kubetest
