package agents

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

var job = Job{Logs: "/var/log/pods", URL: "http://127.0.0.1:4001", Listen: "127.0.0.1:4002"}

func TestAll(t *testing.T) {
	var names []string
	for _, a := range All() {
		names = append(names, a.Name)
	}
	if want := []string{"leatd", "otelcol", "promtail", "fluent-bit", "vector"}; !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
}

// TestCommand: every agent's configuration is YAML in which nothing was left to be filled in, and the arguments name it.
func TestCommand(t *testing.T) {
	logs := t.TempDir()
	if err := os.MkdirAll(filepath.Join(logs, "shop_cart-0_uid", "app"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, a := range All() {
		for _, protocol := range []string{"loki", "otlp"} {
			t.Run(a.Name+"/"+protocol, func(t *testing.T) {
				j := job
				j.Logs, j.State, j.Protocol = logs, t.TempDir(), protocol
				args, _, err := a.Command("program", j)
				if can := slices.Contains(a.Protocols, protocol); can != (err == nil) {
					t.Fatalf("%v, though the agent's protocols are %q", err, a.Protocols)
				} else if !can {
					return
				}
				files, err := filepath.Glob(filepath.Join(j.State, "*"))
				if err != nil || len(files) != 1 {
					t.Fatalf("files %q (%v), want one", files, err)
				}
				if !strings.HasSuffix(args[0], files[0]) {
					t.Errorf("arguments %q don't begin with %s", args, files[0])
				}
				text, err := os.ReadFile(files[0])
				if err != nil {
					t.Fatal(err)
				}
				var parsed map[string]any
				if err := yaml.Unmarshal(text, &parsed); err != nil {
					t.Fatalf("%v\n%s", err, text)
				}
				all := string(text) + strings.Join(args, " ")
				for _, want := range []string{j.Logs, j.State, "127.0.0.1", "4001", "4002"} {
					if !strings.Contains(all, want) {
						t.Errorf("%s is nowhere:\n%s", want, all)
					}
				}
				for _, word := range []string{"$LOGS", "$STATE", "$URL", "$HOST", "$PORT", "$LISTEN"} {
					if strings.Contains(all, word) {
						t.Errorf("%s is left:\n%s", word, all)
					}
				}
			})
		}
	}
}

func TestLeatdConfig(t *testing.T) {
	j := job
	j.State = "/tmp/a"
	for _, test := range []struct {
		protocol string
		sinks    int
		want     string
	}{
		{"loki", 0, `state: /tmp/a/state
logs: {pods: /var/log/pods, start_max_age: 100y}
sinks:
  store1: {type: loki, url: "http://127.0.0.1:4001", stream_rate: 0}
`},
		{"otlp", 2, `state: /tmp/a/state
logs: {pods: /var/log/pods, start_max_age: 100y}
sinks:
  store1: {type: otlp, url: "http://127.0.0.1:4001/1/v1/logs", compression: zstd}
  store2: {type: otlp, url: "http://127.0.0.1:4001/2/v1/logs", compression: zstd}
`},
	} {
		j.Protocol, j.Sinks = test.protocol, test.sinks
		if got := leatdConfig(j); got != test.want {
			t.Errorf("%s, %d sinks:\n%s", test.protocol, test.sinks, got)
		}
	}
}

func TestPromtailTargets(t *testing.T) {
	logs := t.TempDir()
	if text, err := promtailTargets(logs); err == nil {
		t.Errorf("no containers: %q", text)
	}
	for _, folder := range []string{"shop_cart-0_uid1/app", "shop_cart-0_uid1/proxy", "data_pg.main-0_uid2/db"} {
		if err := os.MkdirAll(filepath.Join(logs, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	want := strings.ReplaceAll(`      - targets: [localhost]
        labels: {namespace: "data", pod: "pg.main-0", container: "db", __path__: "LOGS/data_pg.main-0_uid2/db/*.log"}
      - targets: [localhost]
        labels: {namespace: "shop", pod: "cart-0", container: "app", __path__: "LOGS/shop_cart-0_uid1/app/*.log"}
      - targets: [localhost]
        labels: {namespace: "shop", pod: "cart-0", container: "proxy", __path__: "LOGS/shop_cart-0_uid1/proxy/*.log"}
`, "LOGS", logs)
	if got, err := promtailTargets(logs); err != nil || got != want {
		t.Errorf("%v\n%s\nwant\n%s", err, got, want)
	}
}

func TestRefusals(t *testing.T) {
	for _, a := range All() {
		j := job
		j.State, j.Logs, j.Protocol, j.Sinks = t.TempDir(), "../agents", a.Protocols[0], 3
		if _, _, err := a.Command("program", j); (err == nil) != (a.Name == "leatd") {
			t.Errorf("%s: three sinks: %v", a.Name, err)
		}
	}
	for name, j := range map[string]Job{
		"no URL":    {Listen: "127.0.0.1:1"},
		"no port":   {URL: "http://127.0.0.1", Listen: "127.0.0.1:1"},
		"no listen": {URL: "http://127.0.0.1:1"},
	} {
		if text, err := fill("$URL", j); err == nil {
			t.Errorf("%s: %q", name, text)
		}
	}
}

// TestBuildNotHere: an agent that is not installed says how to get it; one that is tells its version.
func TestBuildNotHere(t *testing.T) {
	bin := t.TempDir()
	t.Setenv("PATH", bin)
	for _, a := range []Agent{fluentBit(), vector()} {
		if _, _, err := a.Build(t.Context(), io.Discard); !errors.Is(err, ErrNotHere) || !strings.Contains(err.Error(), "into PATH") || a.built() {
			t.Errorf("%s: %v", a.Name, err)
		}
		program := filepath.Join(bin, a.Name)
		if err := os.WriteFile(program, []byte("#!/bin/sh\necho \"$1 1.2.3\"\necho more\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		path, version, err := a.Build(t.Context(), io.Discard)
		if path != program || version != "--version 1.2.3" || err != nil || !a.built() {
			t.Errorf("%s: %q, %q, %v", a.Name, path, version, err)
		}
	}
}
