package container

// cgroup v1: Documentation/admin-guide/cgroup-v1.

func (s *source) readMemoryV1() {
	usage, ok := s.value("memory.usage_in_bytes")
	var inactive uint64
	for key, n, rest := keyed(s.file("memory.stat")); key != nil; key, n, rest = keyed(rest) {
		switch string(key) { // with those of cgroups below, as v2
		case "total_rss":
			s.show(memoryRSS, float64(n))
		case "total_cache":
			s.show(memoryCache, float64(n))
		case "total_swap":
			s.show(memorySwap, float64(n))
		case "total_mapped_file":
			s.show(memoryMappedFile, float64(n))
		case "total_inactive_file":
			inactive = n
		}
	}
	if ok {
		s.showWorkingSet(usage, inactive)
	}
	s.showFile(memoryMaxUsage, "memory.max_usage_in_bytes")
	s.showFile(memoryKernel, "memory.kmem.usage_in_bytes")
	s.showFile(memoryFailures, "memory.failcnt")
	for key, n, rest := keyed(s.file("memory.oom_control")); key != nil; key, n, rest = keyed(rest) {
		if string(key) == "oom_kill" {
			s.show(oomEvents, float64(n))
		}
	}
	s.showLimit(specMemoryLimit, "memory.limit_in_bytes")
	s.showLimit(specMemoryReservation, "memory.soft_limit_in_bytes")
}

// ticks is USER_HZ, in which the kernel shows some times. It is 100 wherever Kubernetes runs.
const ticks = 100

func (s *source) readUsageV1(c *cgroup) {
	if n, ok := s.value("cpuacct.usage"); ok { // ns
		s.samples = append(s.samples, sample{cpuUsage, c.cpu, float64(n) / 1e9})
	}
	for key, n, rest := keyed(s.file("cpuacct.stat")); key != nil; key, n, rest = keyed(rest) {
		switch string(key) {
		case "user":
			s.show(cpuUser, float64(n)/ticks)
		case "system":
			s.show(cpuSystem, float64(n)/ticks)
		}
	}
}

func (s *source) readCPUV1() {
	s.showFile(specCPUShares, "cpu.shares")
	s.showFile(specCPUPeriod, "cpu.cfs_period_us")
	quota, limited := s.value("cpu.cfs_quota_us") // -1: none
	if !limited {
		return
	}
	s.show(specCPUQuota, float64(quota))
	for key, n, rest := keyed(s.file("cpu.stat")); key != nil; key, n, rest = keyed(rest) {
		switch string(key) {
		case "nr_periods":
			s.show(cfsPeriods, float64(n))
		case "nr_throttled":
			s.show(cfsThrottledPeriods, float64(n))
		case "throttled_time":
			s.show(cfsThrottledSeconds, float64(n)/1e9)
		}
	}
}

// countedBy is who may have counted the I/O: one of the disks' schedulers, or the throttling code, which newer kernels use
// only where something is throttled. The first with a figure is taken, as the container runtimes do.
var countedBy = []struct{ bytes, operations string }{
	{"blkio.bfq.io_service_bytes_recursive", "blkio.bfq.io_serviced_recursive"},
	{"blkio.io_service_bytes_recursive", "blkio.io_serviced_recursive"},
	{"blkio.throttle.io_service_bytes_recursive", "blkio.throttle.io_serviced_recursive"},
}

func (s *source) readIOV1() {
	for _, by := range countedBy {
		if s.showBlkio(by.bytes, fsReadBytes, fsWriteBytes, true) {
			s.showBlkio(by.operations, fsReads, fsWrites, false)
			return
		}
	}
}

// showBlkio shows what one file says of reads and writes, and of all operations if they are bytes.
func (s *source) showBlkio(file string, read, written family, all bool) (counted bool) {
	for b, rest, ok := blkio(s.file(file)); ok; b, rest, ok = blkio(rest) {
		counted = true
		d := s.blockDevice(b.device)
		switch string(b.operation) {
		case "Read":
			s.samples = append(s.samples, sample{read, merge(s.labels, d.name), float64(b.value)})
		case "Write":
			s.samples = append(s.samples, sample{written, merge(s.labels, d.name), float64(b.value)})
		}
		if all && printable(string(b.operation)) {
			s.samples = append(s.samples, sample{blkioUsage, merge(s.labels, d.operation(string(b.operation))), float64(b.value)})
		}
	}
	return counted
}
