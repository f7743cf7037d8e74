package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/leatd/leat/benchmarks/servers"
)

const stopTime = 20 * time.Second // between SIGTERM and SIGKILL

// A process is an agent that runs. Whoever started it stops it.
type process struct {
	name    string
	log     string // path of what it writes
	began   time.Time
	cmd     *exec.Cmd
	done    <-chan struct{} // closed when it has ended and was waited for
	exit    *error          // how it ended, to be read after done
	sampler *sampler
}

// startProcess starts a program whose output goes to a file in dir. It is killed if this program ends before it.
func startProcess(name, dir, path string, args, env []string) (*process, error) {
	p := &process{name: name, log: filepath.Join(dir, "agent.log")}
	out, err := os.Create(p.log)
	if err != nil {
		return nil, fmt.Errorf("%s: log: %w", name, err)
	}
	defer out.Close()
	p.cmd = exec.Command(path, args...)
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr, p.cmd.Env = dir, out, out, append(os.Environ(), env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.began = time.Now()
	if p.done, p.exit, err = servers.Tie(p.cmd); err != nil {
		return nil, fmt.Errorf("%s: start: %w", name, err)
	}
	p.sampler = newSampler(p.cmd.Process.Pid)
	return p, nil
}

// ended is nil while the process runs.
func (p *process) ended() error {
	select {
	case <-p.done:
		return p.failure("ended by itself", *p.exit)
	default:
		return nil
	}
}

// stop sends SIGTERM, then SIGKILL, and returns when the process has been waited for.
func (p *process) stop() error {
	p.sampler.end()
	if err := p.ended(); err != nil {
		return err
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // one that comes too late finds no process, which is no error
	select {
	case <-p.done:
		return nil
	case <-time.After(stopTime):
	}
	_ = p.cmd.Process.Kill()
	<-p.done
	return p.failure("did not stop on SIGTERM and was killed", nil)
}

// failure is an error that shows the end of what the process wrote.
func (p *process) failure(what string, cause error) error {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return errors.Join(fmt.Errorf("%s: %s", p.name, what), cause, err)
	}
	const shown = 4 << 10
	if len(text) > shown {
		text = text[len(text)-shown:]
		text = text[bytes.IndexByte(text, '\n')+1:]
	}
	if cause != nil {
		return fmt.Errorf("%s: %s: %w; its output ends:\n%s", p.name, what, cause, text)
	}
	return fmt.Errorf("%s: %s; its output ends:\n%s", p.name, what, text)
}

var (
	highWater = regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB$`)
	present   = regexp.MustCompile(`(?m)^VmRSS:\s+(\d+) kB$`)
)

// peak is the most memory that was resident so far, in bytes (proc(5), VmHWM).
func (p *process) peak() (float64, error) { return p.memory(highWater) }

// resident is the memory that is resident now, in bytes (proc(5), VmRSS).
func (p *process) resident() (float64, error) { return p.memory(present) }

func (p *process) memory(line *regexp.Regexp) (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("%s: memory: %w", p.name, err)
	}
	m := line.FindSubmatch(status)
	if m == nil {
		return 0, fmt.Errorf("%s: memory: nothing resident in /proc/PID/status", p.name)
	}
	kib, err := strconv.ParseFloat(string(m[1]), 64)
	return kib * 1024, err
}

// A sampler reads a process's CPU time every few milliseconds, so that it can be told afterwards for any moment.
type sampler struct {
	clock   int32
	at      []time.Time // owned by run until done is closed, like cpu
	cpu     []time.Duration
	stopped chan struct{} // closed by end
	done    chan struct{} // closed by run
}

// sampleEvery is how often; a sample costs the sampler two microseconds, and the process nothing.
const sampleEvery = 5 * time.Millisecond

func newSampler(pid int) *sampler {
	// The clock of a process is its number's complement and CPUCLOCK_SCHED (clock_getcpuclockid(3), linux/posix-timers.h).
	s := &sampler{clock: int32(^pid<<3 | 2), stopped: make(chan struct{}), done: make(chan struct{})}
	go s.run()
	return s
}

func (s *sampler) run() {
	defer close(s.done)
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		var ts unix.Timespec
		if unix.ClockGettime(s.clock, &ts) != nil { // the process has ended
			return
		}
		s.at = append(s.at, time.Now())
		s.cpu = append(s.cpu, time.Duration(ts.Nano()))
		select {
		case <-s.stopped:
			return
		case <-tick.C:
		}
	}
}

// end takes a last sample. It may be called again.
func (s *sampler) end() {
	select {
	case <-s.stopped:
	default:
		close(s.stopped)
	}
	<-s.done
}

// until is the CPU time that the process had used at a moment before end.
func (s *sampler) until(t time.Time) time.Duration {
	<-s.done
	for i, at := range s.at {
		if at.Before(t) {
			continue
		}
		if i == 0 {
			return s.cpu[0]
		}
		share := float64(t.Sub(s.at[i-1])) / float64(at.Sub(s.at[i-1]))
		return s.cpu[i-1] + time.Duration(share*float64(s.cpu[i]-s.cpu[i-1]))
	}
	if len(s.cpu) == 0 {
		return 0
	}
	return s.cpu[len(s.cpu)-1]
}
