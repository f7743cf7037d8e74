package config

import (
	"math"
	"testing"
)

func TestWants(t *testing.T) {
	for _, tt := range []struct {
		include, exclude          []string
		namespace, pod, container string
		want                      bool
	}{
		{nil, nil, "a", "b", "c", true},
		{[]string{"a"}, nil, "a", "b", "c", true},
		{[]string{"a"}, nil, "ab", "b", "c", false},
		{[]string{"a*"}, nil, "ab", "b", "c", true},
		{[]string{"a/b"}, nil, "a", "b", "c", true},
		{[]string{"a/b"}, nil, "a", "x", "c", false},
		{[]string{"a/*"}, nil, "a", "x", "c", true},
		{[]string{"*/*/c"}, nil, "a", "x", "c", true},
		{[]string{"*/*/c"}, nil, "a", "x", "d", false},
		{[]string{"x", "a/b-[0-9]/?"}, nil, "a", "b-7", "c", true},
		{nil, []string{"kube-system/*/noisy"}, "kube-system", "p", "noisy", false},
		{nil, []string{"kube-system/*/noisy"}, "kube-system", "p", "quiet", true},
		{[]string{"a"}, []string{"a/b"}, "a", "b", "c", false},
		{[]string{"a/b/c/d"}, nil, "a", "b", "c", false},
		{[]string{"a/[b"}, nil, "a", "[b", "c", false},
		{[]string{""}, nil, "a", "b", "c", false},
	} {
		l := Logs{Include: tt.include, Exclude: tt.exclude}
		if got := l.Wants(tt.namespace, tt.pod, tt.container); got != tt.want {
			t.Errorf("include %q exclude %q: %s/%s/%s is %v, want %v", tt.include, tt.exclude, tt.namespace, tt.pod, tt.container, got, tt.want)
		}
	}
}

func TestSize(t *testing.T) {
	for _, tt := range []struct {
		text  string
		want  Size
		again string
	}{
		{"0", 0, "0"}, {"1", 1, "1"}, {"12B", 12, "12"}, {"256KiB", 256 << 10, "256KiB"}, {"256Ki", 256 << 10, "256KiB"},
		{"1024KiB", 1 << 20, "1MiB"}, {"1.000", -1, ""}, {"64MB", 64e6, "62500KiB"}, {"1GB", 1e9, "1000000000"}, {"2 GiB", 2 << 30, "2GiB"},
		{"1kB", 1000, "1000"}, {"3Ti", 3 << 40, "3TiB"}, {"1PiB", 1 << 50, "1PiB"}, {"8191PiB", 8191 << 50, "8191PiB"}, {"8192PiB", -1, ""},
		{"9223372036854775807", math.MaxInt64, "9223372036854775807"}, {"9223372036854775808", -1, ""},
		{"", -1, ""}, {"KiB", -1, ""}, {"-1", -1, ""}, {"+1", -1, ""}, {"1kib", -1, ""}, {"1e3", -1, ""}, {"0x10", -1, ""}, {"1 KiB ", -1, ""}, {"1_000", -1, ""},
	} {
		got, err := ParseSize(tt.text)
		if tt.want < 0 {
			if err == nil {
				t.Errorf("%q: %d, want an error", tt.text, got)
			}
			continue
		}
		if err != nil || got != tt.want || got.String() != tt.again {
			t.Errorf("%q: %d %s %v, want %d %s", tt.text, got, got, err, tt.want, tt.again)
		}
	}
}

func TestNearest(t *testing.T) {
	known := []string{"max_line", "max_wait", "state", "http_headers", "url"}
	for name, want := range map[string]string{
		"max_lin": "max_line", "mxa_wait": "max_wait", "State": "state", "headers": "http_headers", "ulr": "url", "foo": "", "buffer": "", "x": "",
	} {
		if got := nearest(name, known); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
