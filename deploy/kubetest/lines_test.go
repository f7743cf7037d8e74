//go:build e2ekube

package kubetest

import (
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// testShort: a pod that is there for two seconds.
func testShort(t *testing.T) {
	t.Parallel()
	runPod(t, "short", "Never", "-lines=1500", "-rate=1000")
	is(t, 30*time.Second, "Running", "-n", work, "get", "pod", "short", "-o", "jsonpath={.status.phase}")
	<-time.After(2 * time.Second)
	kubectl(t, "-n", work, "delete", "pod", "short", "--grace-period=0", "--force", "--wait=false")
	inStore(t, 30*time.Second, "short", numbered(1500))
}

// testRestarts: a container that fails again and again has all its lines in the store.
func testRestarts(t *testing.T) {
	t.Parallel()
	runPod(t, "restarts", "Always", "-lines=50", "-exit=1")
	is(t, 90*time.Second, "3", "-n", work, "get", "pod", "restarts", "-o", "jsonpath={.status.containerStatuses[0].restartCount}")
	inStore(t, 10*time.Second, "restarts", slices.Repeat(numbered(50), 4)) // the next restart is 40 s away
	kubectl(t, "-n", work, "delete", "pod", "restarts", "--wait=false")
}

// testLastWords: a container that ends without a newline.
func testLastWords(t *testing.T) {
	t.Parallel()
	runPod(t, "last", "Never", "-lines=10", "-last=goodbye", "-exit=0")
	inStore(t, 30*time.Second, "last", append(numbered(10), "goodbye"))
}

// nothingLost asks leatd itself. Its own log is another matter: of a leatd that was deleted the kubelet removes the files
// before the next one has started, and that says so.
func nothingLost(t *testing.T) {
	t.Helper()
	text, err := get(t, "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "} ")
		if bad.MatchString(name) && strings.Contains(name, `namespace="`+work+`"`) && value != "0" {
			t.Errorf("leatd says %s", line)
		}
	}
}

var bad = regexp.MustCompile(`^leat_log_(dropped|lost|gaps|doubtful|truncated)`)

// testTrouble: a pod writes 2,000 lines a second, the kubelet rotates its log at 1 MiB and keeps three files, and meanwhile
// leatd is replaced by an upgrade, loses its store for a minute, and in that minute is killed and then deleted.
func testTrouble(t *testing.T) {
	const rate, lines = 2000, 200000
	runPod(t, "writer", "Never", "-lines=200000", "-rate=2000", "-exit=0")
	start := time.Now()
	eventually(t, 30*time.Second, func() error {
		entries, err := stored(t.Context(), work, "writer", "writer")
		if err == nil && len(entries) == 0 {
			err = sameLines(entries, numbered(1))
		}
		return err
	})
	at := func(what string) { t.Logf("after %3.0f s %s", time.Since(start).Seconds(), what) }

	at("upgrade")
	old := leatd(t)
	helm(t, "upgrade", release, chart, "--reuse-values", "--set", "config.sinks.metrics.type=remote_write",
		"--set", "config.sinks.metrics.url=http://prometheus."+watch+":9090")
	rolledOut(t)
	if now := leatd(t); now == old {
		t.Error("the upgrade has replaced nothing")
	}

	at("the store is down")
	store.close()
	back := time.After(time.Minute)
	<-time.After(10 * time.Second)
	at("SIGKILL")
	old = leatd(t)
	if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	is(t, 60*time.Second, "1 true", "-n", agents, "get", "pods", "-l", "app.kubernetes.io/name=leat",
		"-o", "jsonpath={.items[*].status.containerStatuses[*].restartCount} {.items[*].status.containerStatuses[*].started}")
	<-time.After(10 * time.Second)
	at("delete")
	old = leatd(t)
	pods := strings.Fields(kubectl(t, "-n", agents, "get", "pods", "-l", "app.kubernetes.io/name=leat", "-o", "name"))
	kubectl(t, append([]string{"-n", agents, "delete", "--grace-period=0", "--force", "--wait=false"}, pods...)...)
	rolledOut(t)
	eventually(t, 60*time.Second, func() error {
		if err := syscall.Kill(old, 0); err == nil {
			return syscall.EBUSY
		}
		return nil
	})
	at("it runs again")
	<-back
	if err := store.open(); err != nil {
		t.Fatal(err)
	}
	at("the store is back")
	is(t, 3*time.Minute, "Succeeded", "-n", work, "get", "pod", "writer", "-o", "jsonpath={.status.phase}")
	at("the last line is written")
	inStore(t, 60*time.Second, "writer", numbered(lines))
	at("the last line is in the store")
	nothingLost(t)
	pushed(t)
	if took := time.Since(start).Seconds(); took < lines/rate {
		t.Errorf("%d lines in %.0f s are more than %d a second", lines, took, rate)
	}
}
