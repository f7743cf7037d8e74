package container

import (
	"strings"
	"testing"
	"testing/synctest"
)

// TestShapes: what each path of a cgroup is shown as.
func TestShapes(t *testing.T) {
	const (
		uid    = "11111111-2222-3333-4444-555555555555"
		under_ = "11111111_2222_3333_4444_555555555555"
		web    = `container="app",id="PATH",namespace="shop",pod="web-0"`
		link   = "-- var/log/containers/web-0_shop_app-{a}.log -> /x --\n"
	)
	docker := func(name string) string {
		return "-- var/lib/docker/containers/{a}/config.v2.json --\n" + `{"Name":"/` + name + `","Config":{"Image":"nginx"}}` + "\n"
	}
	crio := "-- run/containers/storage/overlay-containers/{a}/userdata/config.json --\n" + `{"annotations":{
		"io.kubernetes.cri-o.ContainerType":"container","io.kubernetes.container.name":"app","io.kubernetes.pod.name":"web-0",
		"io.kubernetes.pod.namespace":"shop","io.kubernetes.cri-o.ImageName":"quay.io/app:1"}}` + "\n"
	sandbox := strings.Replace(crio, `ContainerType":"container"`, `ContainerType":"sandbox"`, 1)
	for _, c := range []struct{ name, path, files, want string }{
		{"containerd, systemd, burstable", "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + under_ + ".slice/cri-containerd-{a}.scope", link, web},
		{"containerd, systemd, guaranteed", "kubepods.slice/kubepods-pod" + under_ + ".slice/cri-containerd-{a}.scope", link, web},
		{"containerd, systemd, static pod", "kubepods.slice/kubepods-pod0123456789abcdef0123456789abcdef.slice/cri-containerd-{a}.scope", link, web},
		{"containerd, cgroupfs, best effort", "kubepods/besteffort/pod" + uid + "/{a}", link, web},
		{"containerd, cgroupfs, guaranteed", "kubepods/pod" + uid + "/{a}", link, web},
		{"containerd, cgroupfs below systemd's kubelet", "system.slice/containerd.service/kubepods-burstable-pod" + under_ + ".slice:cri-containerd:{a}", link, web},
		{"the same at the top", "kubepods-burstable-pod" + under_ + ".slice:cri-containerd:{a}", link, web},
		{"kind", "kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod" + under_ + ".slice/cri-containerd-{a}.scope", link, web},
		{"a cgroup root of one's own", "mine/kubepods/burstable/pod" + uid + "/{a}", link, web},
		{"CRI-O, systemd", "kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" + under_ + ".slice/crio-{a}.scope", link, web},
		{"CRI-O, cgroupfs", "kubepods/burstable/pod" + uid + "/crio-{a}", link, web},
		{"CRI-O without a link", "kubepods/burstable/pod" + uid + "/crio-{a}", crio, `container="app",id="PATH",image="quay.io/app:1",namespace="shop",pod="web-0"`},
		{"CRI-O's sandbox", "kubepods/burstable/pod" + uid + "/crio-{a}", sandbox, ""},
		{"CRI-O's monitor", "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + under_ + ".slice/crio-conmon-{a}.scope", link, ""},
		{"Docker below Kubernetes", "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + under_ + ".slice/docker-{a}.scope", link + docker("k8s_app_web-0"),
			`container="app",id="PATH",image="nginx",namespace="shop",pod="web-0"`},
		{"Docker, systemd", "system.slice/docker-{a}.scope", docker("db"), `container="db",id="PATH",image="nginx",name="db"`},
		{"Docker, cgroupfs", "docker/{a}", docker("db"), `container="db",id="PATH",image="nginx",name="db"`},
		{"Docker without its record", "docker/{a}", "", `container="aaaaaaaaaaaa",id="PATH",name="aaaaaaaaaaaa"`},
		{"Docker with a broken record", "docker/{a}", "-- var/lib/docker/containers/{a}/config.v2.json --\n{\"Name\":", `container="aaaaaaaaaaaa",id="PATH",name="aaaaaaaaaaaa"`},
		{"Docker with a record that is a folder", "docker/{a}", "-- var/lib/docker/containers/{a}/config.v2.json/ --\n", `container="aaaaaaaaaaaa",id="PATH",name="aaaaaaaaaaaa"`},
		{"a pod's container without a name", "kubepods/pod" + uid + "/{a}", "", ""},
		{"an id that is too short", "kubepods/pod" + uid + "/abcdef", link, ""},
		{"an id that is too long", "system.slice/docker-{a}a.scope", link, ""},
		{"a pod in a pod", "kubepods/pod" + uid + "/pod22222222-2222-3333-4444-555555555555/{a}", link, ""},
		{"an id that is none", "kubepods/pod" + uid + "/cri-containerd-{a}x.scope", link, ""},
		{"a bare id anywhere else", "system.slice/{a}", link, ""},
		{"a container's own cgroups", "kubepods/pod" + uid + "/{b}/docker/{a}", link, ""},
		{"a user's cgroups", "user.slice/kubepods/pod" + uid + "/{a}", link, ""},
		{"a service's cgroups", "system.slice/kubepods.service/pod" + uid + "/{a}", link, ""},
		{"a cut link", "kubepods/pod" + uid + "/{a}", "-- var/log/containers/web-0_shop_app-aaaa.log -> /x --\n", ""},
		{"a link with too many parts", "kubepods/pod" + uid + "/{a}", "-- var/log/containers/we_b-0_shop_app-{a}.log -> /x --\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := tree(t, "-- sys/fs/cgroup/cgroup.controllers --\n-- proc/1/net/dev --\n-- sys/fs/cgroup/"+c.path+"/memory.current --\n1\n"+c.files)
			o := in(root)
			o.ID, o.Image = true, true
			synctest.Test(t, func(t *testing.T) {
				want := "container_scrape_error 0"
				if c.want != "" {
					path := "/" + strings.ReplaceAll(c.path, "{a}", strings.Repeat("a", 64))
					want = "container_memory_usage_bytes{" + strings.Replace(c.want, "PATH", path, 1) + "} 1\n" + want
				}
				equal(t, figures(gather(t, New(o)), "container_memory_usage_bytes", "container_scrape_error"), want)
			})
		})
	}
}
