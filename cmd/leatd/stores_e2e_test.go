//go:build e2e

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/leatd/leat/benchmarks/servers"
	"github.com/leatd/leat/collector/simulate"
)

// A line as a program wrote it.
type written struct {
	at      int64 // ns since the epoch
	stream  simulate.Stream
	restart int
	text    string
}

// A program is one container of a real node's kind, and all it has written.
type program struct {
	spec  simulate.Spec
	lines []written
}

// storeBytes is how much the programs write together.
const storeBytes = 64 << 20

// programs are containers of all shapes, of containerd and of Docker, whose files are rotated as they write.
func programs() []*program {
	spec := func(namespace, pod, name string, format simulate.Format) *program {
		return &program{spec: simulate.Spec{Namespace: namespace, Pod: pod, Name: name, Format: format, MaxSize: 3 << 20, Late: 4}}
	}
	ps := []*program{
		spec("shop", "cart-7d4b9c-x2x9z", "app", simulate.CRI),
		spec("shop", "cart-7d4b9c-x2x9z", "proxy", simulate.CRI),
		spec("shop", "orders-0", "java", simulate.CRI),
		spec("ops", "db-0", "postgres", simulate.CRI),
		spec("ops", "old-node", "app", simulate.Docker),
	}
	ps[4].spec.Late = 0 // Docker has none
	return ps
}

// run writes its share, a burst every 5 ms: about 12 MiB a second over all programs, so that no file is compressed before
// leatd has opened it. One line in 300 is so long that it is written in parts. Halfway the container is restarted.
func (p *program) run(t *testing.T, node *simulate.Node, seed, share int) {
	c, err := node.Start(p.spec)
	if err != nil {
		t.Error(err)
		return
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	lines := simulate.NewLines(simulate.Shape(seed)%simulate.NumShapes, uint64(seed))
	var buf []byte
	at, restart := started, 0
	for size, burst := 0, 0; size < share; burst++ {
		<-tick.C
		if restart == 0 && size > share/2 {
			if err := c.Restart(); err != nil {
				t.Error(err)
				return
			}
			restart++
		}
		for end := size + 12<<10; size < end; {
			at = at.Add(time.Duration(1 + len(p.lines)%1_000_000))
			var s simulate.Stream
			buf, s = lines.Append(buf[:0], at)
			if len(p.lines)%300 == 299 {
				buf = append(buf, bytes.Repeat([]byte(" and so on"), 2000+len(p.lines)%2000)...)
			}
			if err := c.Write(s, buf, at); err != nil {
				t.Error(err)
				return
			}
			p.lines = append(p.lines, written{at.UnixNano(), s, restart, string(buf)})
			size += len(buf)
		}
	}
	if err := c.Exit(); err != nil {
		t.Error(err)
	}
}

// collect runs the programs with a leatd that sends to a store, and returns when that has all of it.
func collect(t *testing.T, kind, url string, more ...string) []*program {
	t.Helper()
	h := newHost(t)
	cfg := h.config(kind, url, more...)
	text := "labels: {cluster: e2e}\n"
	if old, err := os.ReadFile(cfg); err != nil {
		t.Fatal(err)
	} else {
		cfg = h.file("leat.yaml", text+string(old))
	}
	d := start(t, "--config.file", cfg)
	d.eventually("ready", func() error {
		if code, text := d.get("/-/ready"); code != 200 {
			return fmt.Errorf("%d %s", code, text)
		}
		return nil
	})
	ps := programs()
	var writing sync.WaitGroup
	node := &simulate.Node{Root: h.pods, Docker: h.dir + "/docker"}
	for i, p := range ps {
		writing.Go(func() { p.run(t, node, i, storeBytes/len(ps)) })
	}
	writing.Wait()
	if t.Failed() {
		t.FailNow()
	}
	total := 0
	for _, p := range ps {
		total += len(p.lines)
	}
	d.metric(float64(total), "leat_log_delivered_lines_total")
	d.balanced()
	s := d.metrics()
	for _, name := range []string{"leat_dropped_lines_total", "leat_lost_bytes_total", "leat_log_gaps_total"} {
		if n := s.sum(name); n != 0 {
			t.Errorf("%s is %v", name, n)
		}
	}
	d.stop()
	t.Logf("%d lines of %d containers", total, len(ps))
	return ps
}

// TestRealLoki: what Loki gives back is what the programs wrote, line by line: labels, time, text and order.
func TestRealLoki(t *testing.T) {
	loki := startLoki(t, servers.LokiOptions{})
	ps := collect(t, "loki", loki.URL)
	streams, err := loki.Query(t.Context(), `{node_name="node-1"}`, started.Add(-time.Hour), time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]servers.Entry{}
	for _, s := range streams {
		found[labelsText(s.Labels)] = s.Entries
	}
	for _, p := range ps {
		for _, stream := range []simulate.Stream{simulate.Stdout, simulate.Stderr} {
			labels := labelsText(map[string]string{"namespace": p.spec.Namespace, "pod": p.spec.Pod, "container": p.spec.Name,
				"node_name": "node-1", "stream": stream.String(), "cluster": "e2e"})
			got := found[labels]
			delete(found, labels)
			i := 0
			for _, want := range p.lines {
				if want.stream != stream {
					continue
				}
				if i >= len(got) {
					t.Errorf("%s: only %d lines; the next is to be %.100q", labels, i, want.text)
					break
				}
				if e := got[i]; e.Time != want.at || e.Line != want.text || e.Metadata != nil {
					t.Errorf("%s: line %d is %d %.100q %v, want %d %.100q", labels, i, e.Time, e.Line, e.Metadata, want.at, want.text)
					break
				}
				i++
			}
			if i < len(got) {
				t.Errorf("%s: %d lines, want %d", labels, len(got), i)
			}
		}
	}
	for labels, entries := range found {
		t.Errorf("a stream that nobody wrote: %s with %d lines", labels, len(entries))
	}
}

func labelsText(m map[string]string) string {
	text, _ := json.Marshal(m) // a map of strings, sorted by name
	return string(text)
}

// TestRealCollector: what the OpenTelemetry Collector's receiver decodes is what the programs wrote, record by record.
func TestRealCollector(t *testing.T) {
	for _, compression := range []string{"gzip", "zstd"} {
		t.Run(compression, func(t *testing.T) {
			sink, err := servers.StartOtelSink(t.Context(), servers.OtelSinkOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := sink.Stop(); err != nil {
					t.Error(err)
				}
			}()
			began := time.Now().UnixNano()
			ps := collect(t, "otlp", sink.URL, "compression: "+compression)
			records, err := sink.Records()
			if err != nil {
				t.Fatal(err)
			}
			compareRecords(t, ps, records, began)
		})
	}
}

func compareRecords(t *testing.T, ps []*program, records []servers.OtelRecord, began int64) {
	t.Helper()
	type progress struct {
		*program
		next     int
		resource map[string]any
		wrong    bool
	}
	expected := map[string]*progress{}
	for _, p := range ps {
		pod, _, _ := bytes.Cut([]byte(p.spec.Key()), []byte("/"))
		uid := string(pod[bytes.LastIndexByte(pod, '_')+1:])
		expected[p.spec.Pod+"/"+p.spec.Name] = &progress{program: p, resource: map[string]any{
			"k8s.namespace.name": p.spec.Namespace, "k8s.pod.name": p.spec.Pod, "k8s.pod.uid": uid, "k8s.container.name": p.spec.Name,
			"k8s.node.name": "node-1", "cluster": "e2e",
		}}
	}
	for i, r := range records {
		p := expected[fmt.Sprintf("%v/%v", r.Resource["k8s.pod.name"], r.Resource["k8s.container.name"])]
		if p == nil {
			t.Fatalf("record %d is nobody's: %+v", i, r)
		}
		if p.wrong || p.next == len(p.lines) {
			p.next++
			continue
		}
		w := p.lines[p.next]
		want := servers.OtelRecord{
			Resource: maps.Clone(p.resource), Scope: servers.OtelScope{Name: "github.com/leatd/leat"}, Time: w.at, Observed: r.Observed,
			BodyType: "Str", Body: w.text, Attributes: map[string]any{"log.iostream": w.stream.String()},
		}
		want.Resource["k8s.container.restart_count"] = json.Number(fmt.Sprint(w.restart))
		if !reflect.DeepEqual(r, want) || r.Observed < began || r.Observed > time.Now().UnixNano() {
			t.Errorf("%s: record %d is\n%.600v, want\n%.600v", p.spec.Key(), p.next, r, want)
			p.wrong = true
		}
		p.next++
	}
	for _, p := range expected {
		if p.next != len(p.lines) {
			t.Errorf("%s: %d records, want %d", p.spec.Key(), p.next, len(p.lines))
		}
	}
}
