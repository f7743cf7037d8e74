package container

import "bytes"

// cgroup v2: Documentation/admin-guide/cgroup-v2.rst.

func (s *source) readMemory() {
	usage, ok := s.value("memory.current")
	var inactive uint64
	for key, n, rest := keyed(s.file("memory.stat")); key != nil; key, n, rest = keyed(rest) {
		switch string(key) {
		case "anon":
			s.show(memoryRSS, float64(n))
		case "file":
			s.show(memoryCache, float64(n))
		case "kernel":
			s.show(memoryKernel, float64(n))
		case "file_mapped":
			s.show(memoryMappedFile, float64(n))
		case "inactive_file":
			inactive = n
		}
	}
	if ok {
		s.showWorkingSet(usage, inactive)
	}
	s.showFile(memoryMaxUsage, "memory.peak")
	s.showFile(memorySwap, "memory.swap.current")
	for key, n, rest := keyed(s.file("memory.events")); key != nil; key, n, rest = keyed(rest) {
		switch string(key) {
		case "max":
			s.show(memoryFailures, float64(n))
		case "oom_kill":
			s.show(oomEvents, float64(n))
		}
	}
	s.showLimit(specMemoryLimit, "memory.max")
	s.showLimit(specMemoryReservation, "memory.min")
}

// readCPU reads cpu.stat, whose times are in microseconds, and leaves out what cgroup v1 has in a hybrid.
func (s *source) readCPU(c *cgroup) {
	quota, period := bytes.TrimSpace(s.file("cpu.max")), []byte(nil)
	quota, period = field(quota)
	limit, limited := number(quota)
	if n, ok := number(period); ok {
		s.show(specCPUPeriod, float64(n))
	}
	if limited {
		s.show(specCPUQuota, float64(limit))
	}
	if weight, ok := s.value("cpu.weight"); ok && weight >= 1 && weight <= 10000 {
		s.show(specCPUShares, float64(2+(weight-1)*262142/9999)) // KEP-2254's conversion, the other way
	}
	hasUsage := c.had[cpuacctV1]
	for key, n, rest := keyed(s.file("cpu.stat")); key != nil; key, n, rest = keyed(rest) {
		switch string(key) {
		case "usage_usec":
			if !hasUsage {
				s.samples = append(s.samples, sample{cpuUsage, c.cpu, float64(n) / 1e6})
			}
		case "user_usec":
			if !hasUsage {
				s.show(cpuUser, float64(n)/1e6)
			}
		case "system_usec":
			if !hasUsage {
				s.show(cpuSystem, float64(n)/1e6)
			}
		case "nr_periods":
			if limited {
				s.show(cfsPeriods, float64(n))
			}
		case "nr_throttled":
			if limited {
				s.show(cfsThrottledPeriods, float64(n))
			}
		case "throttled_usec":
			if limited {
				s.show(cfsThrottledSeconds, float64(n)/1e6)
			}
		}
	}
}

func (s *source) readIO() {
	for io, rest, ok := ioStat(s.file("io.stat")); ok; io, rest, ok = ioStat(rest) {
		d := s.blockDevice(io.device)
		on := merge(s.labels, d.name)
		s.samples = append(s.samples,
			sample{fsReadBytes, on, float64(io.readBytes)}, sample{fsWriteBytes, on, float64(io.writtenBytes)},
			sample{fsReads, on, float64(io.reads)}, sample{fsWrites, on, float64(io.writes)},
			sample{blkioUsage, merge(s.labels, d.operation("Read")), float64(io.readBytes)},
			sample{blkioUsage, merge(s.labels, d.operation("Write")), float64(io.writtenBytes)})
	}
}
