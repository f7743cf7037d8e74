package tail

import "testing"

func TestDetect(t *testing.T) {
	check := func(in string, want format) {
		b := []byte(in)
		if got := detect(b); got != want {
			t.Errorf("%q: got %d, want %d", in, got, want)
		}
		if string(b) != in {
			t.Errorf("%q: changed to %q", in, b)
		}
	}
	for _, test := range criLines {
		check(test.in, formatCRI)
	}
	for _, test := range dockerLines {
		check(test.in, formatDocker)
	}
	for _, in := range []string{
		"", "\x00\x00", "hello", "Jan  2 03:04:05 host sshd[1]: hello", "2026-01-02T03:04:05Z hello", "2026-01-02T03:04:05.123456+00:00 host sshd[1]: hello",
		`{"level":"info","msg":"an application's own","time":"2026-01-02T03:04:05Z"}`, `{"log":"cut off`,
	} {
		check(in, unknown)
	}
	// What a first line of 256 bytes shows of a longer one.
	check(string(benchCRI(0)[0][:100]), formatCRI)
}
