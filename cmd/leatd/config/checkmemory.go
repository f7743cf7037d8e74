package config

import "github.com/leatd/leat/pipeline"

// memoryBeside is what leatd may have resident beside memory_limit: its code, and pages not yet given back.
const memoryBeside = 16 * MiB

// checkMemory refuses lines and requests so long that what the sinks hold of them may be more than leatd's memory. With
// the defaults of max_line and max_batch any number of sinks passes: each holds little, and seldom all that it may.
func (d *decoder) checkMemory(c *Config) {
	least, long := -memoryBeside, ""
	if c.Logs.MaxLine > Default(d.env).Logs.MaxLine {
		long = "logs.max_line"
	}
	for i := range c.Sinks {
		s := &c.Sinks[i]
		if !s.TakesLogs() || !c.ReadsLogs() {
			continue
		}
		if long == "" && s.MaxBatch > defaultSink(s.Type).MaxBatch {
			long = "sinks." + s.Name + ".max_batch"
		}
		shard, spool := pipeline.Options{MaxBatch: int(s.MaxBatch), MaxLine: int(c.Logs.MaxLine)}.Needs()
		if least += Size(shard); s.Spool.MaxBytes > 0 {
			least += Size(spool)
		}
	}
	if long != "" && least > c.MemoryLimit {
		d.reject(long, "needs a memory_limit of at least %s, by what all sinks together may hold", (least+MiB-1)/MiB*MiB)
	}
}
