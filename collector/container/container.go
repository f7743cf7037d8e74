// Package container shows the figures of the node's containers: CPU, memory, processes, block I/O, pressure and network,
// read from the kernel's own files, under the names, types and units that cAdvisor and the kubelet's /metrics/cadvisor use.
//
// # What it promises
//
// A figure is what the kernel's file says at the moment of the scrape. Nothing is kept, added up or corrected, so a counter
// that the kernel wraps is a counter that wraps. Where there is no limit, a limit is 0 for memory and threads, and there
// is no series for a CPU quota and what comes with it. What a kernel does not count has no series at all.
//
// A container that ends while it is read is left out without a word. Anything else that cannot be read sets
// container_scrape_error, is said in the log once, and costs nothing but its own figures.
//
// # Which containers
//
// Only containers. cAdvisor also shows every pod's cgroup, every other cgroup and "/", so that a sum over all series
// counts everything three times and each query needs container!=""; a pod is the sum of its containers, and the machine
// is node_exporter's. The pause container has no log, and is not shown either: its network is the pod's.
//
// A container is a cgroup with a name that containerd, CRI-O or Docker gives (see containerID). Its namespace, pod
// and name are in the link to its log in /var/log/containers, which the kubelet makes; without one, in what the runtime
// has written about it (see record). A plain Docker container has the labels container and name, both its name, and no
// namespace or pod. Of two with the same labels, while one takes the other's place, the younger one is shown.
//
// cAdvisor takes the start of a container from the modification time of its cgroup, which is new whenever the kernel
// drops the inode from its cache. Here its oldest process is asked as well, once.
//
// # Network
//
// Interfaces belong to the pod, so they have namespace and pod but no container, as at the kubelet; those of a plain
// Docker container have its name. A pod in the host's network namespace has none. Namespaces are told apart by the inode
// of /proc/PID/net/dev, which is there to be read without privileges, unlike /proc/PID/ns/net.
//
// A cgroup names its processes by the numbers that the reader sees: in a container leatd needs hostPID. Without, there is no
// network, and under v1 no container_processes; NoHostPIDs says so (pids.go).
//
// # Cost
//
// Every scrape lists the folders that can hold containers, and reads about 23 files of each container under cgroup v1,
// 17 under v2. The kernel's part is most of it. Files are opened anew: kept open, one of the small ones costs 0.7 µs
// instead of 5.3, but 4 KiB of the kernel's memory as well, which is 9 MiB for 100 containers.
//
// # Who owns what
//
// The source belongs to the Cutoff, which asks it once at a time. A sample is not changed after it was shown.
package container

import (
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/leatd/leat/collector/cutoff"
)

// Options say where things are and what is shown. Empty paths are those of a process on the host.
type Options struct {
	ProcFS string // where the host's /proc is mounted
	SysFS  string // where the host's /sys is mounted
	RootFS string // where the host's / is mounted
	Pods   string // the kubelet's folder of logs, as leatd sees it; the links to them are beside it, in containers

	ID    bool // adds the label id: the cgroup's path
	Image bool // adds the label image, where the runtime's files say it

	Timeout time.Duration // for one gathering
	Log     *slog.Logger
}

// A Collector shows the containers' figures. It is a prometheus.Collector.
type Collector struct {
	cutoff      *cutoff.Cutoff
	scrapeError *prometheus.Desc
}

// New makes a Collector. Nothing is read before the first Collect.
func New(o Options) *Collector {
	return &Collector{
		cutoff: cutoff.New("container", newSource(o), o.Timeout, o.Log),
		scrapeError: prometheus.NewDesc("container_scrape_error",
			"Whether something of the containers could not be read in this scrape: 1 if so, 0 otherwise.", nil, nil),
	}
}

// Describe tells which families there can be. A family without a label that does not apply to it has no such label.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range descs {
		ch <- d
	}
	ch <- c.scrapeError
}

// Collect reads everything once.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	failed := 0.0
	if c.cutoff.Update(ch) != nil {
		failed = 1
	}
	ch <- prometheus.MustNewConstMetric(c.scrapeError, prometheus.GaugeValue, failed)
}
