package config

import (
	"fmt"
	"strings"
	"testing"
)

// TestMemory: what long lines and requests need is asked for, and enough when it is given; with the defaults nothing is.
func TestMemory(t *testing.T) {
	many := ""
	for i := range 20 {
		many += fmt.Sprintf("  s%d: {type: http, url: 'http://h%d'}\n", i, i)
	}
	for _, tt := range []struct{ name, limit, text, want string }{
		{"the defaults, however many", "32MiB", "sinks:\n" + many, ""},
		{"short lines and requests", "32MiB", "logs: {max_line: 1KiB}\nsinks:\n  a: {type: otlp, url: 'http://h', max_batch: 64KiB}\n", ""},
		{"a little longer", "64MiB", "logs: {max_line: 1MiB}\nsinks:\n  a: {type: otlp, url: 'http://h'}\n", ""},
		{"lines", "64MiB", "logs: {max_line: 16MiB}\nsinks:\n  a: {type: otlp, url: 'http://h'}\n", "407MiB"},
		{"exactly enough", "407MiB", "logs: {max_line: 16MiB}\nsinks:\n  a: {type: otlp, url: 'http://h'}\n", ""},
		{"a little less", "406MiB", "logs: {max_line: 16MiB}\nsinks:\n  a: {type: otlp, url: 'http://h'}\n", "407MiB"},
		{"without a spool", "64MiB", "logs: {max_line: 16MiB}\nsinks:\n  a: {type: otlp, url: 'http://h', spool: {max_bytes: 0}}\n", "229MiB"},
		{"lines, and no logs to read", "64MiB", "logs: {pods: '', max_line: 16MiB}\nsinks:\n  a: {type: remote_write, url: 'http://h'}\n", ""},
		{"a sink of metrics has no lane", "64MiB", "logs: {max_line: 1MiB}\nsinks:\n  a: {type: otlp, url: 'http://h'}\n" +
			strings.ReplaceAll(many, "http, ", "remote_write, "), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load("leat.yaml", []byte("memory_limit: "+tt.limit+"\n"+tt.text), testEnv)
			if got := fmt.Sprint(err); tt.want == "" && err != nil || tt.want != "" && !strings.Contains(got, "needs a memory_limit of at least "+tt.want+",") {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}
