package config

import (
	"os"
	"path/filepath"
	"testing"
)

// FuzzLoad: any bytes give a whole configuration or an error of the form that TestBad's have, and never a panic.
func FuzzLoad(f *testing.F) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range append(files, "../../../deploy/leat.yaml") {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add(commented.ReplaceAll(data, []byte("$1$2")))
	}
	f.Add([]byte(everySecret))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Load("leat.yaml", data, testEnv)
		if err != nil {
			checkError(t, err)
			return
		}
		_ = c.String()
		if c.Node == "" || c.State == "" || len(c.Sinks) == 0 || c.Logs.MaxLine < KiB || c.MemoryLimit < 32*MiB {
			t.Errorf("not a whole configuration: %#v", c)
		}
		for _, s := range c.Sinks {
			if s.Name == "" || s.MaxWait <= 0 || s.MaxBatch < 64*KiB || s.MaxShards < 1 {
				t.Errorf("not a whole sink: %#v", s)
			}
			switch s.Type {
			case TypeLoki, TypeOTLP, TypeHTTP:
				if s.URL.URL == nil || s.URL.Host == "" || s.URL.Path == "" || s.URL.User != nil || s.Timeout <= 0 || s.Compression == "" {
					t.Errorf("not a whole sink: %#v", s)
				}
			case TypeFile:
				if s.Path == "" || s.SegmentBytes <= 0 || s.MaxBytes < s.SegmentBytes {
					t.Errorf("not a whole sink: %#v", s)
				}
			case TypeConsole:
			default:
				t.Errorf("a sink of type %q", s.Type)
			}
		}
	})
}

// FuzzSize: what String writes is read as the same again.
func FuzzSize(f *testing.F) {
	f.Add("256KiB")
	f.Add("64 MB")
	f.Fuzz(func(t *testing.T, text string) {
		size, err := ParseSize(text)
		if err != nil {
			return
		}
		if again, err := ParseSize(size.String()); err != nil || again != size || size < 0 {
			t.Errorf("%q is %d, written as %s, is %d, %v", text, size, size, again, err)
		}
	})
}
