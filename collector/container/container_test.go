package container

import (
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(pretend) != "" {
		hog()
	}
	goleak.VerifyTestMain(m)
}

// TestGoldens: everything that a node's files say, and nothing else. The time is synctest's, the start of 2000.
func TestGoldens(t *testing.T) {
	for _, name := range []string{"v2", "v1"} {
		t.Run(name, func(t *testing.T) {
			root := treeFile(t, name+".txt")
			synctest.Test(t, func(t *testing.T) {
				golden(t, name+".metrics", gather(t, New(in(root))))
			})
		})
	}
}

// TestFamilies: each has a name and words of its own, and is described.
func TestFamilies(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range families {
		if seen[f.name] || seen[f.help] || !strings.HasPrefix(f.name, "container_") || !strings.HasSuffix(f.help, ".") {
			t.Errorf("%+v", f)
		}
		if total := strings.HasSuffix(f.name, "_total") || f.name == "container_memory_failcnt"; total != f.counter {
			t.Errorf("%s: a counter is %v", f.name, f.counter)
		}
		seen[f.name], seen[f.help] = true, true
	}
	ch := make(chan *prometheus.Desc, 100)
	New(in(t.TempDir())).Describe(ch)
	if len(ch) != len(families)+1 {
		t.Error(len(ch), "are described")
	}
}
