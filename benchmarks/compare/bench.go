package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/leatd/leat/benchmarks/agents"
)

// options are what the flags say.
type options struct {
	size    int64 // of a backlog, bytes
	repeat  int
	window  time.Duration // 0: each scenario's own
	folder  string
	profile string

	quiet    time.Duration // nothing has come for so long: the lines that were there may all have come
	patience time.Duration // nothing has come for so long: nothing will
}

// A contender is an agent that is there.
type contender struct {
	agents.Agent
	path, version string
}

// String is the agent's name and the first word of its version, or the program that was given.
func (c contender) String() string {
	version, _, _ := strings.Cut(c.version, " ")
	return c.Name + " " + version
}

// bareName is the bare loop's in places where agents have names, and ours that of the agent that goals are for.
const (
	bareName = "bare loop"
	ours     = "leatd"
)

// A bench is the agents and the settings of one comparison.
type bench struct {
	options
	contenders []contender
	remarks    []string // what is missing in the table: agents that cannot be had here, and runs of peers that failed
	progress   io.Writer
}

// newBench builds the agents that are named, or all. A name may come with a program, as in "leatd=/tmp/older", which is
// measured instead of one that is built.
func newBench(ctx context.Context, o options, names []string, progress io.Writer) (*bench, error) {
	b := &bench{options: o, progress: progress}
	all := len(names) == 0
	if all {
		names = agentNames()
	}
	known := agents.All()
	for _, n := range names {
		name, path, given := strings.Cut(n, "=")
		i := slices.IndexFunc(known, func(a agents.Agent) bool { return a.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("agent %q: not known; there are %v", name, agentNames())
		}
		if given {
			b.contenders = append(b.contenders, contender{known[i], path, path})
			continue
		}
		path, version, err := known[i].Build(ctx, progress)
		switch {
		case errors.Is(err, agents.ErrNotHere) && all:
			b.remarks = append(b.remarks, err.Error())
		case err != nil:
			return nil, fmt.Errorf("agent %s: %w", name, err)
		default:
			b.contenders = append(b.contenders, contender{known[i], path, version})
		}
	}
	return b, nil
}

// all runs scenarios one after the other, and returns the results of those that came to an end.
func (b *bench) all(ctx context.Context, chosen []scenario) (results []*result, err error) {
	for _, s := range chosen {
		r, err := b.scenario(ctx, s)
		if err != nil {
			return results, fmt.Errorf("%s: %w", s.title(), err)
		}
		results = append(results, r)
	}
	return results, nil
}

// scenario lets the agents take turns.
func (b *bench) scenario(ctx context.Context, s scenario) (r *result, err error) {
	dir, err := os.MkdirTemp(b.folder, "leat-compare-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	t := turn{bench: b, scenario: s, dir: dir}
	if s.prepare != nil {
		say(b.progress, "%s", s.title())
		if err := s.prepare(&t); err != nil {
			return nil, err
		}
	}
	r = newResult(s, t.what)
	for t.round = range b.repeat {
		if s.bare {
			if t.bare, err = runBareLoop(ctx, s.protocol, t.loads[0]); err != nil {
				return nil, err
			}
			b.note(s, t.round, bareName, t.bare)
			r.add(bareName, t.bare)
		}
		for _, c := range b.contenders {
			if s.protocol != "" && !slices.Contains(c.Protocols, s.protocol) {
				continue
			}
			t.who, t.protocol = c, s.protocol
			if t.protocol == "" {
				t.protocol = c.Protocols[0]
			}
			f, err := s.run(ctx, t)
			switch {
			case err != nil && (c.Name == ours || ctx.Err() != nil):
				return nil, err
			case err != nil: // a peer's trouble is not the others'
				say(b.progress, "%s: %v", s.title(), err)
				first, _, _ := strings.Cut(err.Error(), "\n")
				b.remarks = append(b.remarks, s.title()+": "+first)
				continue
			}
			if len(f) > 0 { // else the work is not for this agent
				b.note(s, t.round, c.String(), f)
				r.add(c.String(), f)
			}
		}
	}
	return r, nil
}

// note says how a run went.
func (b *bench) note(s scenario, round int, name string, f figures) {
	text := fmt.Sprintf("%s: %d of %d: %s:", s.title(), round+1, b.repeat, name)
	for i, row := range s.rows {
		if v, ok := f[row.key]; ok && i < 4 {
			text += "  " + row.label + " " + fmt.Sprintf(row.format, v)
		}
	}
	say(b.progress, "%s", text)
}

// measured is for how long a load that goes on is measured, and how long it goes on before that.
func (b *bench) measured(own time.Duration) (warm, window time.Duration) {
	if b.window > 0 {
		own = b.window
	}
	return min(5*time.Second, own/2), own
}
