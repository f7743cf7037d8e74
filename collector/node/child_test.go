package node

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/leatd/leat/collector/cutoff"
	"github.com/leatd/leat/collector/node/flags"
)

// node_exporter's settings and collectors are the process's, so each test has a process of its own: this test binary, which
// gathers when it is told to.

// A setup is what a child is made of.
type setup struct {
	Options        // but its Log
	Panics  string // a collector that panics instead
	UID     int    // to become before anything else; 0: as the test
}

// An order says what to gather: all if both are empty.
type order struct {
	Collect, Exclude []string
	Hang             int // collectors that are expected to hang then
}

// A report is what came of an order.
type report struct {
	Text       string // of the exposition
	Err        string // of Only, or of gathering
	Took       time.Duration
	Goroutines int // of collectors, that are still there
}

const childVariable = "LEAT_TEST_NODE_CHILD"

func TestMain(m *testing.M) {
	if text, ok := os.LookupEnv(childVariable); ok {
		if err := serveChild(text); err != nil {
			fmt.Fprintln(os.Stderr, "child:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// serveChild carries out the orders on its standard input until that ends.
func serveChild(text string) error {
	var s setup
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return err
	}
	if s.UID != 0 {
		if err := syscall.Setuid(s.UID); err != nil {
			return err
		}
	}
	s.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	c, err := New(s.Options)
	if err != nil {
		return err
	}
	if s.Panics != "" {
		c.sources[s.Panics] = cutoff.New(s.Panics, panicking{}, s.Timeout, s.Log)
	}
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var o order
		if err := in.Decode(&o); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := out.Encode(carryOut(c, o)); err != nil {
			return err
		}
	}
}

func carryOut(c *Collector, o order) (r report) {
	var from prometheus.Collector = c
	if len(o.Collect)+len(o.Exclude) > 0 {
		var err error
		if from, err = c.Only(o.Collect, o.Exclude); err != nil {
			return report{Err: err.Error()}
		}
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(from)
	begin := time.Now()
	families, err := registry.Gather()
	r.Took = time.Since(begin)
	if err != nil {
		r.Err = err.Error()
	}
	var text strings.Builder
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&text, f); err != nil {
			r.Err += err.Error()
		}
	}
	r.Text = text.String()
	// Those that are done may take a moment to be gone.
	stacks := make([]byte, 1<<20)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		r.Goroutines = bytes.Count(stacks[:runtime.Stack(stacks, true)], []byte("created by github.com/leatd/leat/collector/"))
		if r.Goroutines <= o.Hang || time.Now().After(deadline) {
			return r
		}
	}
}

type panicking struct{}

func (panicking) Update(ch chan<- prometheus.Metric) error { panic("on purpose") }

// A child is such a process.
type child struct {
	t   *testing.T
	in  io.WriteCloser
	out *json.Decoder

	mu  sync.Mutex
	log bytes.Buffer
}

// start makes a child. At its end it must have had nothing to say that the test did not ask for.
func start(t *testing.T, s setup) *child {
	t.Helper()
	if s.Timeout == 0 {
		s.Timeout = 5 * time.Second
	}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+string(text))
	c := &child{t: t}
	cmd.Stderr = c
	if c.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.out = json.NewDecoder(bufio.NewReader(out))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the child: %v", err)
		}
		if t.Failed() {
			t.Logf("the child said\n%s", c.said())
		}
	})
	return c
}

func (c *child) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.log.Write(p)
}

// said is what the child has logged so far.
func (c *child) said() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.log.String()
}

// gather lets the child gather, which must succeed.
func (c *child) gather(o order) gathered {
	c.t.Helper()
	r := c.order(o)
	if r.Err != "" {
		c.t.Fatal(r.Err)
	}
	g := gathered{report: r, families: c.parse(r.Text)}
	for name, v := range g.byCollector("node_scrape_collector_duration_seconds") {
		if v < 0 {
			c.t.Errorf("%s took %v seconds", name, v)
		}
	}
	return g
}

func (c *child) order(o order) (r report) {
	c.t.Helper()
	if err := json.NewEncoder(c.in).Encode(o); err != nil {
		c.t.Fatal(err)
	}
	if err := c.out.Decode(&r); err != nil {
		c.t.Fatalf("%v; the child said\n%s", err, c.said())
	}
	return r
}

func (c *child) parse(text string) map[string]*dto.MetricFamily {
	c.t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		c.t.Fatal(err)
	}
	return families
}

// gathered is what one gathering shows.
type gathered struct {
	report
	families map[string]*dto.MetricFamily
}

// byCollector are a gauge's values by the label collector.
func (g gathered) byCollector(family string) map[string]float64 {
	values := map[string]float64{}
	for _, m := range g.families[family].GetMetric() {
		for _, l := range m.Label {
			if l.GetName() == "collector" {
				values[l.GetValue()] = m.GetGauge().GetValue()
			}
		}
	}
	return values
}

// failed are the collectors that did not succeed, sorted.
func (g gathered) failed() (names []string) {
	for name, v := range g.byCollector("node_scrape_collector_success") {
		if v != 1 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// has checks that the exposition has these lines.
func (g gathered) has(t *testing.T, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains("\n"+g.Text, "\n"+line+"\n") {
			t.Errorf("there is no %q", line)
		}
	}
}

// only are the flags that turn on some collectors and no others.
func only(collectors ...string) flags.Values {
	v := flags.Values{flags.DisableDefaults: {"true"}}
	for _, c := range collectors {
		v["collector."+c] = []string{"true"}
	}
	return v
}
