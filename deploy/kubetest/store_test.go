//go:build e2ekube

package kubetest

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leatd/leat/benchmarks/servers"
)

// A door is a port of the node's address that leads to the store while it is open. Closed, it refuses connections.
type door struct {
	address, to string

	mu       sync.Mutex
	listener net.Listener // nil while it is closed
	passing  map[net.Conn]bool
}

func newDoor(to string) (*door, error) {
	d := &door{address: NodeIP + ":3100", to: to, passing: map[net.Conn]bool{}}
	return d, d.open()
}

func (d *door) open() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	listener, err := net.Listen("tcp", d.address)
	if err != nil {
		return err
	}
	d.listener = listener
	go func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return // closed
			}
			go d.pass(from)
		}
	}()
	return nil
}

// close refuses new connections and cuts those that there are.
func (d *door) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.listener.Close()
	d.listener = nil
	for c := range d.passing {
		c.Close()
	}
}

func (d *door) pass(from net.Conn) {
	defer from.Close()
	to, err := net.Dial("tcp", d.to)
	if err != nil {
		return
	}
	defer to.Close()
	d.mu.Lock()
	open := d.listener != nil
	d.passing[from], d.passing[to] = true, true
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.passing, from)
		delete(d.passing, to)
	}()
	if !open {
		return
	}
	var ways sync.WaitGroup
	for _, way := range [][2]net.Conn{{from, to}, {to, from}} {
		ways.Go(func() {
			io.Copy(way[1], way[0])
			way[1].Close()
		})
	}
	ways.Wait()
}

// stored is what Loki has of a container, in order of time.
func stored(ctx context.Context, namespace, pod, container string) ([]servers.Entry, error) {
	query := fmt.Sprintf("{namespace=%q, pod=%q, container=%q}", namespace, pod, container)
	streams, err := loki.Query(ctx, query, began.Add(-time.Minute), time.Now().Add(time.Minute))
	if err != nil {
		return nil, err
	}
	var all []servers.Entry
	for _, s := range streams {
		all = append(all, s.Entries...)
	}
	slices.SortStableFunc(all, func(a, b servers.Entry) int { return cmp.Compare(a.Time, b.Time) })
	return all, nil
}

// inStore waits until a pod of the workload has these lines in the store, and no others.
func inStore(t *testing.T, within time.Duration, pod string, want []string) {
	t.Helper()
	eventually(t, within, func() error {
		entries, err := stored(t.Context(), work, pod, pod)
		if err != nil {
			return err
		}
		return sameLines(entries, want)
	})
}

func sameLines(entries []servers.Entry, want []string) error {
	for i := range min(len(entries), len(want)) {
		if entries[i].Line != want[i] {
			return fmt.Errorf("line %d of %d in the store is %q, want %q of %d", i, len(entries), shown(entries[i].Line), shown(want[i]), len(want))
		}
	}
	if len(entries) != len(want) {
		return fmt.Errorf("%d lines are in the store, want %d", len(entries), len(want))
	}
	return nil
}

func shown(line string) string { return strings.Replace(line, strings.Repeat("0", 40), "…", 1) }

// numbered are the lines that the workload writes.
func numbered(n int) []string {
	lines := make([]string, n)
	for i := range lines {
		lines[i] = fmt.Sprintf("line %095d", i)
	}
	return lines
}

func fetch(ctx context.Context, url string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", url, resp.Status, body)
	}
	return string(body), err
}
