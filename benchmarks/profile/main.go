// profile gives leatd a real backlog, measures it from outside, and leaves its CPU, heap, mutex and block profiles.
//
//	go run ./benchmarks/profile -mib 1024 -files 10 -sink loki -out benchmarks/results/profile
//
// It writes container logs, measures the bare loop over them (package benchmarks), starts leatd and, in a process of its
// own, a receiver that takes every request and keeps nothing. Then it prints one table, in ratios to the bare loop.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/leatd/leat/benchmarks"
	"github.com/leatd/leat/collector/simulate"
)

const receiverEnv = "LEAT_PROFILE_RECEIVER"

func main() {
	log.SetFlags(0)
	log.SetPrefix("profile: ")
	if os.Getenv(receiverEnv) != "" {
		receive()
		return
	}
	mib := flag.Int("mib", 1024, "size of the backlog, MiB")
	files := flag.Int("files", 10, "number of containers")
	sink := flag.String("sink", "loki", "loki, otlp or http")
	compression := flag.String("compression", "", "of otlp and http; empty for the sink's default")
	out := flag.String("out", "benchmarks/results/profile", "folder for the profiles")
	binary := flag.String("leatd", "bin/leatd", "the binary to measure")
	flag.Parse()
	if err := run(*mib, *files, *sink, *compression, *out, *binary); err != nil {
		log.Fatal(err)
	}
}

func run(mib, files int, sink, compression, out, binary string) error {
	dir, err := os.MkdirTemp("", "leat-profile-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	logs, bytes, lines, err := write(filepath.Join(dir, "pods"), int64(mib)<<20, files)
	if err != nil {
		return err
	}
	gib := float64(bytes) / (1 << 30)
	bare, err := measureBare(logs)
	if err != nil {
		return err
	}

	receiver, url, err := startReceiver()
	if err != nil {
		return err
	}
	defer stop(receiver)
	config := filepath.Join(dir, "leat.yaml")
	extra := ""
	if sink == "loki" {
		extra = ", stream_rate: 0" // a few streams at full speed
	}
	if compression != "" {
		extra += ", compression: " + compression
	}
	text := fmt.Sprintf("state: %s/state\nlogs: {pods: %s/pods, start_max_age: 1y}\nsinks: {store: {type: %s, url: %q%s}}\n", dir, dir, sink, url, extra)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return err
	}
	address, err := freeAddress()
	if err != nil {
		return err
	}
	began := time.Now()
	leatd := exec.Command(binary, "--config.file", config, "--web.listen-address", address, "--pprof", "--log.level", "warn")
	leatd.Stderr = os.Stderr
	if err := leatd.Start(); err != nil {
		return err
	}
	defer stop(leatd)
	if err := until(address, "leat_log_read_lines_total", 1); err != nil {
		return err
	}
	cpu := make(chan error, 1)
	go func() { cpu <- fetch(address, "profile?seconds=1", filepath.Join(out, "cpu.pprof")) }()
	if err := until(address, "leat_log_delivered_lines_total", lines); err != nil {
		return err
	}
	took := time.Since(began)
	peak := peakMemory(leatd.Process.Pid)
	used := cpuOf(leatd.Process.Pid)
	if err := <-cpu; err != nil {
		return err
	}
	for _, name := range []string{"heap", "mutex", "block"} {
		if err := fetch(address, name, filepath.Join(out, name+".pprof")); err != nil {
			return err
		}
	}
	sent, err := metric(address, "leat_sink_sent_bytes_total")
	if err != nil {
		return err
	}
	fmt.Printf("%d lines, %.2f GiB in %d files, sink %s %s\n", lines, gib, files, sink, compression)
	fmt.Printf("  bare loop (snappy)     %6.2f CPU s/GiB\n", bare.Seconds()/gib)
	fmt.Printf("  leatd                  %6.2f CPU s/GiB   %.2f times the bare loop\n", used.Seconds()/gib, used.Seconds()/bare.Seconds())
	fmt.Printf("  throughput             %6.0f MiB/s\n", float64(bytes)/(1<<20)/took.Seconds())
	fmt.Printf("  peak resident memory   %6.1f MiB\n", float64(peak)/(1<<20))
	fmt.Printf("  log bytes a wire byte  %6.2f\n", float64(bytes)/float64(sent))
	fmt.Printf("profiles in %s: go tool pprof -top %s %s/cpu.pprof\n", out, binary, out)
	return nil
}

// write makes the backlog: every container its own shape of lines.
func write(root string, size int64, files int) (paths []string, bytes, lines int64, err error) {
	node := &simulate.Node{Root: root}
	at := time.Now().Add(-time.Hour)
	for i := range files {
		c, err := node.Start(simulate.Spec{Namespace: "bench", Pod: fmt.Sprintf("pod-%d", i), Name: "app", Buffer: 1 << 20})
		if err != nil {
			return nil, 0, 0, err
		}
		shapes := []simulate.Shape{simulate.JSON, simulate.Nginx, simulate.Klog, simulate.Postgres}
		gen := simulate.NewLines(shapes[i%len(shapes)], uint64(i)).Number(0)
		var line []byte
		for n, written := int64(0), int64(0); written < size/int64(files); n++ {
			var stream simulate.Stream
			line, stream = gen.Append(line[:0], at)
			if err := c.Write(stream, line, at.Add(time.Duration(n)*time.Microsecond)); err != nil {
				return nil, 0, 0, err
			}
			written += int64(len(line)) + 45 // the runtime's own bytes, about
			lines++
		}
		if err := c.Flush(); err != nil {
			return nil, 0, 0, err
		}
		info, err := os.Stat(c.Path())
		if err != nil {
			return nil, 0, 0, err
		}
		bytes += info.Size()
		paths = append(paths, c.Path())
	}
	return paths, bytes, lines, nil
}

// measureBare is the CPU time of the bare loop over the files, as this process is charged for it.
func measureBare(paths []string) (time.Duration, error) {
	before := ownCPU()
	for _, p := range paths {
		f, err := os.Open(p)
		if err != nil {
			return 0, err
		}
		info, err := f.Stat()
		if err == nil {
			_, _, err = benchmarks.BareLoop(f, info.Size())
		}
		f.Close()
		if err != nil {
			return 0, fmt.Errorf("%s: %w", p, err)
		}
	}
	return ownCPU() - before, nil
}

func ownCPU() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// receive is the receiver's process: it reads every body to its end and says 204, or what OTLP wants.
func receive() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("http://" + l.Addr().String())
	log.Fatal(http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if strings.HasSuffix(r.URL.Path, "/v1/logs") {
			w.Header().Set("Content-Type", "application/x-protobuf")
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})))
}

func startReceiver() (*exec.Cmd, string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	c := exec.Command(self)
	c.Env = append(os.Environ(), receiverEnv+"=1")
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, "", err
	}
	if err := c.Start(); err != nil {
		return nil, "", err
	}
	var url string
	if _, err := fmt.Fscanln(out, &url); err != nil {
		stop(c)
		return nil, "", fmt.Errorf("receiver: %w", err)
	}
	return c, url, nil
}

func stop(c *exec.Cmd) {
	_ = c.Process.Signal(syscall.SIGTERM)
	_ = c.Wait()
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// until polls a metric's sum until it has reached a value.
func until(address, name string, value int64) error {
	for deadline := time.Now().Add(10 * time.Minute); ; {
		if got, err := metric(address, name); err == nil && got >= float64(value) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s has not reached %d in ten minutes", name, value)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// metric is the sum of a family's series.
func metric(address, name string) (sum float64, err error) {
	resp, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	for _, m := range regexp.MustCompile(`(?m)^`+name+`(?:\{[^\n]*\})? (\S+)$`).FindAllStringSubmatch(string(body), -1) {
		v, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			return 0, err
		}
		sum += v
	}
	return sum, nil
}

func fetch(address, profile, path string) error {
	resp, err := http.Get("http://" + address + "/debug/pprof/" + profile)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(f, resp.Body)
	return err
}

// peakMemory is VmHWM of /proc/PID/status, in bytes (proc(5)).
func peakMemory(pid int) int64 {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(b)
	if m == nil {
		return 0
	}
	kib, _ := strconv.ParseInt(string(m[1]), 10, 64)
	return kib << 10
}

// cpuOf is the time that a process has run, by the scheduler's own account (/proc/PID/task/*/schedstat).
func cpuOf(pid int) (d time.Duration) {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	for _, t := range tasks {
		b, _ := os.ReadFile(t)
		if f := strings.Fields(string(b)); len(f) > 0 {
			ns, _ := strconv.ParseInt(f[0], 10, 64)
			d += time.Duration(ns)
		}
	}
	return d
}
