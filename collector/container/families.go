package container

import (
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// A family is one metric name.
type family int

const (
	cpuUsage family = iota
	cpuUser
	cpuSystem
	cfsPeriods
	cfsThrottledPeriods
	cfsThrottledSeconds
	memoryUsage
	memoryWorkingSet
	memoryRSS
	memoryCache
	memorySwap
	memoryMappedFile
	memoryKernel
	memoryFailures
	memoryMaxUsage
	oomEvents
	processes
	threads
	threadsMax
	fsReadBytes
	fsWriteBytes
	fsReads
	fsWrites
	blkioUsage
	cpuWaiting
	cpuStalled
	memoryWaiting
	memoryStalled
	ioWaiting
	ioStalled
	specCPUQuota
	specCPUPeriod
	specCPUShares
	specMemoryLimit
	specMemoryReservation
	startTime
	lastSeen
	receivedBytes
	receivedPackets
	receivedErrors
	receivedDropped
	sentBytes
	sentPackets
	sentErrors
	sentDropped
	familyCount
)

// families are cAdvisor's names and types; the words are ours.
var families = [familyCount]struct {
	name    string
	counter bool
	help    string
}{
	cpuUsage:            {"container_cpu_usage_seconds_total", true, "CPU time that the container has used, in seconds, over all CPUs."},
	cpuUser:             {"container_cpu_user_seconds_total", true, "CPU time that the container has used in user mode, in seconds."},
	cpuSystem:           {"container_cpu_system_seconds_total", true, "CPU time that the kernel has used for the container, in seconds."},
	cfsPeriods:          {"container_cpu_cfs_periods_total", true, "Periods of the CPU quota that have passed while the container could run."},
	cfsThrottledPeriods: {"container_cpu_cfs_throttled_periods_total", true, "Periods in which the container had used up its CPU quota and was throttled."},
	cfsThrottledSeconds: {"container_cpu_cfs_throttled_seconds_total", true, "Time for which the container was throttled, in seconds."},

	memoryUsage:      {"container_memory_usage_bytes", false, "Memory that is charged to the container, with its page cache, in bytes."},
	memoryWorkingSet: {"container_memory_working_set_bytes", false, "Memory that is charged to the container less its inactive page cache, in bytes; what the kubelet evicts by."},
	memoryRSS:        {"container_memory_rss", false, "Anonymous memory of the container, in bytes."},
	memoryCache:      {"container_memory_cache", false, "Page cache of the container, in bytes."},
	memorySwap:       {"container_memory_swap", false, "Swap space that the container uses, in bytes."},
	memoryMappedFile: {"container_memory_mapped_file", false, "Files that the container has mapped into memory, in bytes."},
	memoryKernel:     {"container_memory_kernel_usage", false, "Memory that the kernel uses for the container, in bytes."},
	memoryFailures:   {"container_memory_failcnt", true, "Times that the container's memory has hit its limit."},
	memoryMaxUsage:   {"container_memory_max_usage_bytes", false, "The most memory that was ever charged to the container, in bytes."},
	oomEvents:        {"container_oom_events_total", true, "Processes of the container that the kernel has killed for want of memory."},

	processes:  {"container_processes", false, "Processes that run in the container."},
	threads:    {"container_threads", false, "Threads that run in the container."},
	threadsMax: {"container_threads_max", false, "Threads that the container may have; 0 without a limit."},

	fsReadBytes:  {"container_fs_reads_bytes_total", true, "Bytes that the container has read from the device."},
	fsWriteBytes: {"container_fs_writes_bytes_total", true, "Bytes that the container has written to the device."},
	fsReads:      {"container_fs_reads_total", true, "Reads of the device by the container."},
	fsWrites:     {"container_fs_writes_total", true, "Writes to the device by the container."},
	blkioUsage:   {"container_blkio_device_usage_total", true, "Bytes that the container has moved to or from the device, by operation."},

	cpuWaiting:    {"container_pressure_cpu_waiting_seconds_total", true, "Time for which some task of the container waited for a CPU, in seconds."},
	cpuStalled:    {"container_pressure_cpu_stalled_seconds_total", true, "Time for which no task of the container went on for want of a CPU, in seconds."},
	memoryWaiting: {"container_pressure_memory_waiting_seconds_total", true, "Time for which some task of the container waited for memory, in seconds."},
	memoryStalled: {"container_pressure_memory_stalled_seconds_total", true, "Time for which no task of the container went on for want of memory, in seconds."},
	ioWaiting:     {"container_pressure_io_waiting_seconds_total", true, "Time for which some task of the container waited for I/O, in seconds."},
	ioStalled:     {"container_pressure_io_stalled_seconds_total", true, "Time for which no task of the container went on for want of I/O, in seconds."},

	specCPUQuota:          {"container_spec_cpu_quota", false, "CPU time that the container may use in a period, in microseconds."},
	specCPUPeriod:         {"container_spec_cpu_period", false, "Length of a period of the CPU quota, in microseconds."},
	specCPUShares:         {"container_spec_cpu_shares", false, "The container's share of busy CPUs, in cgroup v1's scale from 2 to 262144."},
	specMemoryLimit:       {"container_spec_memory_limit_bytes", false, "Memory that the container may use, in bytes; 0 without a limit."},
	specMemoryReservation: {"container_spec_memory_reservation_limit_bytes", false, "Memory that the container keeps when memory is short, in bytes; 0 without such a limit."},

	startTime: {"container_start_time_seconds", false, "When the container was started, in seconds since the Unix epoch."},
	lastSeen:  {"container_last_seen", false, "When the container was seen last, in seconds since the Unix epoch."},

	receivedBytes:   {"container_network_receive_bytes_total", true, "Bytes that the pod has received on the interface."},
	receivedPackets: {"container_network_receive_packets_total", true, "Packets that the pod has received on the interface."},
	receivedErrors:  {"container_network_receive_errors_total", true, "Errors while the pod received on the interface."},
	receivedDropped: {"container_network_receive_packets_dropped_total", true, "Packets that were dropped while the pod received on the interface."},
	sentBytes:       {"container_network_transmit_bytes_total", true, "Bytes that the pod has sent on the interface."},
	sentPackets:     {"container_network_transmit_packets_total", true, "Packets that the pod has sent on the interface."},
	sentErrors:      {"container_network_transmit_errors_total", true, "Errors while the pod sent on the interface."},
	sentDropped:     {"container_network_transmit_packets_dropped_total", true, "Packets that were dropped while the pod sent on the interface."},
}

// descs are the families as client_golang wants them. The labels are the samples' own.
var descs = func() (d [familyCount]*prometheus.Desc) {
	for f, is := range families {
		d[f] = prometheus.NewDesc(is.name, is.help, nil, nil)
	}
	return d
}()

// A sample is one figure. It is a prometheus.Metric that shares its labels with others and needs no memory of its own.
type sample struct {
	family family
	labels []*dto.LabelPair // sorted by name; never changed
	value  float64
}

func (s *sample) Desc() *prometheus.Desc { return descs[s.family] }

func (s *sample) Write(out *dto.Metric) error {
	out.Label = s.labels
	if families[s.family].counter {
		out.Counter = &dto.Counter{Value: &s.value}
	} else {
		out.Gauge = &dto.Gauge{Value: &s.value}
	}
	return nil
}

func pair(name, value string) *dto.LabelPair { return &dto.LabelPair{Name: &name, Value: &value} }

// merge joins two lists of labels that are sorted by name.
func merge(a, b []*dto.LabelPair) []*dto.LabelPair {
	all := make([]*dto.LabelPair, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if *a[0].Name <= *b[0].Name {
			all, a = append(all, a[0]), a[1:]
		} else {
			all, b = append(all, b[0]), b[1:]
		}
	}
	return append(append(all, a...), b...)
}
