package podlogs

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/leatd/leat/collector/dirwatch"
	"github.com/leatd/leat/pipeline"
)

type deaf struct{ n int }

func (d *deaf) Sync(*pipeline.Target, []pipeline.LogFile) { d.n++ }
func (d *deaf) Gone(*pipeline.Target)                     {}

// BenchmarkRescan is a pass over 2,000 idle containers, by their folders' times, with inotify (idle) and without (blind),
// and by listing all (listed), with links as Docker has them or without.
func BenchmarkRescan(b *testing.B) {
	const pods = 2000
	for _, links := range []bool{false, true} {
		rootfs := b.TempDir()
		root := rootfs + "/pods"
		for i := range pods {
			pod := fmt.Sprintf("%s/namespace_deployment-5d4f8c7b9d-%05d_8f14e45f-ceea-4671-9a0d-%012d", root, i, i)
			if links {
				dir := fmt.Sprintf("/docker/%064d", i)
				write(b, rootfs+dir+"/json.log", "x\n")
				must(b, os.MkdirAll(pod+"/app", 0o755))
				must(b, os.Symlink(dir+"/json.log", pod+"/app/0.log"))
				age(b, rootfs+dir)
			} else {
				write(b, pod+"/app/0.log", "x\n")
			}
			age(b, pod+"/app", pod)
		}
		age(b, root)
		for _, kind := range []string{"idle", "blind", "listed"} {
			b.Run(fmt.Sprintf("links=%v/%s", links, kind), func(b *testing.B) {
				files := &deaf{}
				w := New(Options{Root: root, RootFS: rootfs, Files: files, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
				w.watch = dirwatch.New[place]()
				defer w.watch.Close()
				w.rescan()
				if err := w.watch.Err(); err != nil {
					b.Fatal(err)
				}
				if kind == "blind" {
					w.watch.Close()
				}
				b.ReportAllocs()
				var before, after unix.Rusage
				must(b, unix.Getrusage(unix.RUSAGE_SELF, &before))
				for b.Loop() {
					if kind == "listed" {
						w.root.settled = false
						for _, p := range w.root.pods {
							p.settled = false
							for _, c := range p.containers {
								c.settled = false
							}
						}
					}
					w.rescan()
				}
				must(b, unix.Getrusage(unix.RUSAGE_SELF, &after))
				cpu := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
				b.ReportMetric(float64(cpu)/float64(b.N)/1e6, "ms-cpu/op")
				if files.n != pods*(b.N+1) {
					b.Errorf("%d calls in %d passes", files.n, b.N+1)
				}
			})
		}
	}
}
