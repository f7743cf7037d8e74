package container

import (
	"testing"
)

// TestNetwork: through whom a pod's interfaces are read, and when they are left out. The first cgroup is the pause container's.
func TestNetwork(t *testing.T) {
	const (
		net11 = "-- proc/11/net/dev --\n eth0: 11 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
		net12 = "-- proc/12/net/dev --\n eth0: 12 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
		of    = `container_network_receive_bytes_total{interface="eth0",namespace="shop",pod="web-0"} `
	)
	pause := func(pids string) string { return "-- " + pod1 + "{f}/cgroup.procs --\n" + pids }
	app := func(pids string) string { return "-- " + pod1 + "{a}/cgroup.procs --\n" + pids }
	docker := func(id, name, pids string) string {
		return "-- sys/fs/cgroup/system.slice/docker-{" + id + "}.scope/cgroup.procs --\n" + pids +
			"-- var/lib/docker/containers/{" + id + "}/config.v2.json --\n{\"Name\":\"/" + name + "\"}\n"
	}
	for _, c := range []struct{ name, files, want string }{
		{"the pause container's", pause("11\n") + app("12\n") + net11 + net12, of + "11"},
		{"the pause container has ended", pause("") + app("12\n") + net11 + net12, of + "12"},
		{"its process has just ended", pause("10\n") + app("12\n") + net12, of + "12"},
		{"the next process", app("9\n10\n12\n") + net12, of + "12"},
		{"all have ended", pause("8\n") + app("9\n10\n") + net12, ""},
		{"more than are remembered", app("1000\n1001\n1002\n1003\n1004\n1005\n1006\n1007\n12\n") + net12, ""},
		{"the host's network", pause("11\n") + app("12\n") + "-- proc/11/net/dev = proc/1/net/dev --\n" + net12, ""},
		{"a pod without a running container", "-- " + pod2 + "{e}/cgroup.procs --\n11\n-- var/log/pods/ci_job-1_22222222-2222-3333-4444-555555555555/ --\n" + net11,
			`container_network_receive_bytes_total{interface="eth0",namespace="ci",pod="job-1"} 11`},
		{"a pod that nobody knows", "-- " + pod2 + "{e}/cgroup.procs --\n11\n" + net11, ""},
		{"Docker", docker("d", "db", "11\n"), `container_network_receive_bytes_total{container="db",interface="eth0",name="db"} 11`},
		{"Docker, two in one namespace", docker("d", "db", "11\n") + docker("c", "db2", "12\n") + net11 + "-- proc/12/net/dev = proc/11/net/dev --\n", "1 line"},
		{"a name that is no label", app("12\n") + "-- proc/12/net/dev --\n \xff\x01: 12 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n lo: 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.name == "Docker" {
				c.files += net11
			}
			got := figures(gather(t, New(in(tree(t, common+web+c.files)))), "container_network_receive_bytes_total", "container_scrape_error")
			want := "container_scrape_error 0"
			if c.want == "1 line" {
				if len(got) < 90 || len(got) > 120 {
					t.Error("got", got)
				}
				return
			}
			if c.want != "" {
				want = c.want + "\n" + want
			}
			equal(t, got, want)
		})
	}
}
