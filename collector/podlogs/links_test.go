package podlogs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// docker lays out one container as Docker does: its log in a folder of its own, and the kubelet's link to it, which is
// absolute and true for the node, whose root is at rootfs here.
func docker(t *testing.T, rootfs, pod, id, link string) (dir string) {
	t.Helper()
	dir = rootfs + "/var/lib/docker/containers/" + id
	write(t, dir+"/"+id+"-json.log", "{}\n")
	write(t, dir+"/config.v2.json", "{}")
	must(t, os.MkdirAll(pod, 0o755))
	must(t, os.Symlink("/var/lib/docker/containers/"+id+"/"+id+"-json.log", pod+"/"+link))
	return dir
}

func TestDockerRotation(t *testing.T) {
	rootfs := t.TempDir()
	root := rootfs + "/var/log/pods"
	app := root + "/ns_pod_u/app"
	dir := docker(t, rootfs, app, "abc", "0.log")
	r, text := start(t, Options{Root: root, RootFS: rootfs})
	log := dir + "/abc-json.log"
	const key = "ns_pod_u/app: "
	r.untilState(t, key+"0 abc-json.log")
	if got := r.told("ns_pod_u/app")[0]; got.Path != log || got.Gzip {
		t.Errorf("%+v", got)
	}
	// max-file=3 with compression: .1 is the newest of the old ones.
	must(t, os.Rename(log, log+".1"))
	r.untilState(t, key+"0 abc-json.log.1")
	write(t, log, "{}\n")
	r.untilState(t, key+"0 abc-json.log.1, 0 abc-json.log")
	write(t, log+".1.gz", "z")
	must(t, os.Remove(log+".1"))
	r.untilState(t, key+"0 abc-json.log.1.gz, 0 abc-json.log")
	must(t, os.Rename(log+".1.gz", log+".2.gz"))
	must(t, os.Rename(log, log+".1"))
	write(t, log, "{}\n")
	r.untilState(t, key+"0 abc-json.log.2.gz, 0 abc-json.log.1, 0 abc-json.log")
	if !r.told("ns_pod_u/app")[0].Gzip {
		t.Error("not gzip")
	}
	// A restart is another container of Docker's, in another folder.
	docker(t, rootfs, app, "def", "1.log")
	r.untilState(t, key+"0 abc-json.log.2.gz, 0 abc-json.log.1, 0 abc-json.log, 1 def-json.log")
	write(t, rootfs+"/var/lib/docker/containers/def/def-json.log.1", "{}\n")
	r.untilState(t, key+"0 abc-json.log.2.gz, 0 abc-json.log.1, 0 abc-json.log, 1 def-json.log.1, 1 def-json.log")
	must(t, os.RemoveAll(dir)) // the first is removed, its link a moment later
	r.untilState(t, key+"1 def-json.log.1, 1 def-json.log")
	must(t, os.Remove(app+"/0.log"))
	must(t, os.RemoveAll(filepath.Dir(app)))
	r.untilState(t, "")
	if text.String() != "" {
		t.Error(text)
	}
}

// What passes over everything alone do with links, and what they say.
func TestLinksWithoutEvents(t *testing.T) {
	rootfs := t.TempDir()
	root := rootfs + "/var/log/pods"
	app := root + "/ns_pod_u/app"
	write(t, app+"/0.log", "x\n")
	must(t, os.Symlink("3.log", app+"/2.log")) // a loop of two
	must(t, os.Symlink("2.log", app+"/3.log"))
	must(t, os.Symlink("/nowhere/at/all", app+"/4.log"))
	must(t, os.Symlink("/etc/passwd", app+"/5.log"))                                                   // there on this machine, not beneath rootfs
	must(t, os.Symlink("/var/log", app+"/6.log"))                                                      // a folder
	must(t, os.Symlink("../../../../../../../../../../var/log/pods/ns_pod_u/app/0.log", app+"/7.log")) // .. stops at the root; the file is told once
	r := newRecord()
	w := blind(Options{Root: root, RootFS: rootfs, Files: r})
	text := logOf(w)
	w.rescan()
	w.rescan()
	if r.state() != "ns_pod_u/app: 0 0.log" {
		t.Error(r.state())
	}
	for link, want := range map[string]int{"2.log": 1, "3.log": 1, "6.log": 1, "4.log": 0, "5.log": 0} {
		if n := strings.Count(text.String(), "app/"+link+" "); n != want {
			t.Errorf("%s: %d complaints, want %d\n%s", link, n, want, text)
		}
	}
	// Missing for longer than a rotation takes.
	for _, p := range w.root.pods {
		for link := range p.containers["app"].dangling {
			p.containers["app"].dangling[link] = time.Now().Add(-2 * missing)
		}
	}
	w.rescan()
	w.rescan()
	for _, link := range []string{"4.log", "5.log"} {
		if n := strings.Count(text.String(), "app/"+link+" "); n != 1 {
			t.Errorf("%s: %d complaints\n%s", link, n, text)
		}
	}
	write(t, rootfs+"/nowhere/at/all", "{}\n")
	w.rescan()
	if r.state() != "ns_pod_u/app: 0 0.log, 4 all" || !strings.Contains(text.String(), "link leads to a file again") {
		t.Errorf("%s\n%s", r.state(), text)
	}
	write(t, rootfs+"/nowhere/at/all.1", "{}\n") // only the folder of the link's file changed
	w.rescan()
	if r.state() != "ns_pod_u/app: 0 0.log, 4 all.1, 4 all" {
		t.Error(r.state())
	}
}
